"""A cache of folders that is safe for several processes."""

import contextlib
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

T = TypeVar("T")
_SEAL = "SHA256SUMS"
_WRONG = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
_ATTEMPTS = 5


def cache_root() -> Path:
    """Returns `$UNROLL_CACHE` if that is set, else `~/.cache/unroll`."""
    return Path(os.environ.get("UNROLL_CACHE") or Path.home() / ".cache" / "unroll").absolute()


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a file in hexadecimal; raises `InputError` if it is not readable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; expected a readable file"
        ) from error


def cached(name: str, build: Callable[[Path], None], read: Callable[[Path], T]) -> T:
    """Returns what `read` makes of a folder of the cache; builds it if it is missing or damaged.

    The name must change whenever the contents do. `build` writes into an empty temporary folder,
    which is renamed at the end, so that readers never see an incomplete folder and several
    processes can build at once. The sha256 of each file is stored; a damaged folder is built again,
    and so is one of which `read` raises an error: others can write to a cache that is shared.
    Raises `InputError` if the cache cannot be written.
    """
    final = cache_root() / name
    temporary = final.with_name(f".{name}.{os.getpid()}.{uuid.uuid4().hex}")
    is_built = False
    try:
        for _ in range(_ATTEMPTS):
            is_whole = _is_whole(final)
            if is_whole and is_built:
                return read(final)
            if is_whole:
                with contextlib.suppress(*_WRONG):
                    return read(final)
            temporary.mkdir(parents=True)
            build(temporary)
            _seal(temporary)
            _install(temporary, final, is_wrong=is_whole)
            is_built = True
    except OSError as error:
        raise InputError(
            f"cannot write the cache folder {final.parent} ({error}); free disk space there, or"
            " set UNROLL_CACHE to a writable folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    raise InputError(
        f"the cache folder {final} was damaged after each of {_ATTEMPTS} builds; set UNROLL_CACHE"
        " to a folder on another disk"
    )


def load_array(path: Path, kind: type[np.generic], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Returns the memory-mapped array in a file of the cache, of a type and shape.

    None stands for any length. Raises a `ValueError` for any other file; objects are never loaded.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header can raise errors of any type
        raise ValueError(f"{path} is no array") from error
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(kind):
        raise ValueError(f"{path} is no array of {np.dtype(kind)}")
    lengths = zip(array.shape, shape, strict=False)
    if array.ndim != len(shape) or any(n not in (length, None) for length, n in lengths):
        raise ValueError(f"{path} is an array of shape {array.shape}")
    return array


def _install(temporary: Path, final: Path, is_wrong: bool) -> None:
    if final.exists() and (is_wrong or not _is_whole(final)):
        torn = temporary.with_name(temporary.name + ".torn")
        with contextlib.suppress(FileNotFoundError):  # moved by another process
            final.rename(torn)
        shutil.rmtree(torn, ignore_errors=True)
    try:
        temporary.rename(final)
    except OSError:
        if not final.exists():
            raise
        shutil.rmtree(temporary)  # installed by another process


def _seal(folder: Path) -> None:
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / _SEAL).write_text("".join(lines), encoding="utf-8")


def _is_whole(folder: Path) -> bool:
    """Returns whether a folder consists of the files with the checksums of its seal."""
    try:
        files = {path.name: path for path in folder.iterdir()}
        if not all(stat.S_ISREG(path.lstat().st_mode) for path in files.values()):
            return False
        lines = files.pop(_SEAL).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        is_complete = bool(sums) and sums.keys() == files.keys()
        return is_complete and all(sha256_of(files[name]) == sums[name] for name in sums)
    except (OSError, ValueError, KeyError):  # missing or damaged
        return False
