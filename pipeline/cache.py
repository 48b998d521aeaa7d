"""A cache of folders that is safe for several processes."""

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import InputError

_SEAL = "SHA256SUMS"
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


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """Returns a folder of the cache; builds it if it is missing or damaged.

    The name must change whenever the contents do. `build` writes into an empty temporary folder,
    which is renamed at the end, so that readers never see an incomplete folder and several
    processes can build at once. The sha256 of each file is stored; a damaged folder is built again.
    Raises `InputError` if the cache cannot be written.
    """
    final = cache_root() / name
    temporary = final.with_name(f".{name}.{os.getpid()}.{uuid.uuid4().hex}")
    try:
        for _ in range(_ATTEMPTS):
            if _is_whole(final):
                return final
            temporary.mkdir(parents=True)
            build(temporary)
            _seal(temporary)
            _install(temporary, final)
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


def _install(temporary: Path, final: Path) -> None:
    if final.exists() and not _is_whole(final):
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
    try:
        lines = (folder / _SEAL).read_text(encoding="utf-8").splitlines()
        sums = [line.split("  ", 1) for line in lines]
        return bool(sums) and all(sha256_of(folder / file) == digest for digest, file in sums)
    except (OSError, ValueError):  # missing or damaged
        return False
