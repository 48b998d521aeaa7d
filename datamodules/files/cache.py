"""Folders that are built once, in a cache that several processes may fill at the same time."""

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
    """Gives `$UNROLL_CACHE`, or `~/.cache/unroll` where that is unset."""
    return Path(os.environ.get("UNROLL_CACHE") or Path.home() / ".cache" / "unroll").absolute()


def sha256_of(path: Path) -> str:
    """Gives the sha256 of a file's bytes, in hexadecimal.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; a readable file is expected"
        ) from error


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """Gives the cache's folder of a name, built if it is not there or not whole.

    A folder is built under a temporary name and renamed when it is finished, with the sha256 of
    each file in it, so that a reader sees all of it or nothing, several processes may build at
    once, and a torn one is built again.

    Args:
        name: the folder's name; it must change whenever the contents would.
        build: writes the contents into an empty folder.

    Returns:
        The folder.

    Raises:
        InputError: the cache cannot be written.
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
            f"cannot write the cache folder {final.parent} ({error}); make room there, or set"
            " UNROLL_CACHE to a folder that can be written"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    raise InputError(
        f"the cache entry {final} was damaged again after each of {_ATTEMPTS} builds; set"
        " UNROLL_CACHE to another disk"
    )


def _install(temporary: Path, final: Path) -> None:
    if final.exists() and not _is_whole(final):
        torn = temporary.with_name(temporary.name + ".torn")
        with contextlib.suppress(FileNotFoundError):  # another process has moved it already
            final.rename(torn)
        shutil.rmtree(torn, ignore_errors=True)
    try:
        temporary.rename(final)
    except OSError:
        if not final.exists():
            raise
        shutil.rmtree(temporary)  # another process was first


def _seal(folder: Path) -> None:
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / _SEAL).write_text("".join(lines), encoding="utf-8")


def _is_whole(folder: Path) -> bool:
    try:
        lines = (folder / _SEAL).read_text(encoding="utf-8").splitlines()
        sums = [line.split("  ", 1) for line in lines]
        return bool(sums) and all(sha256_of(folder / file) == digest for digest, file in sums)
    except (OSError, ValueError):  # nothing there, or not what was written: both are built again
        return False
