"""Reading of archives and writing of verified files."""

import hashlib
import os
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import InputError


def read_archive(
    archive: Path, is_wanted: Callable[[PurePosixPath], bool]
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yields path and contents of the regular files of a .zip or .tar.gz archive that are wanted.

    Nothing is written to the paths in it. Raises `InputError` if the archive is damaged.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                for name in packed.namelist():
                    if is_wanted(PurePosixPath(name)):
                        yield PurePosixPath(name), packed.read(name)
            return
        with tarfile.open(archive) as tar:
            for info in tar:
                member = PurePosixPath(info.name)
                file = tar.extractfile(info) if info.isreg() and is_wanted(member) else None
                if file is not None:
                    yield member, file.read()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise InputError(
            f"{archive} is not a complete archive ({error}); download it again"
        ) from error


def verify_sha256(data: bytes, expected: str, where: object, advice: str) -> None:
    """Raises `InputError`, with the advice what to do, if the contents have another SHA-256."""
    if hashlib.sha256(data).hexdigest() != expected:
        raise InputError(f"{where} is not the published file (its sha256 differs); {advice}")


def write_file(data: bytes, path: Path) -> None:
    """Writes a file under a temporary name and renames it; creates its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
