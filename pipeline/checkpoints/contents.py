"""Reads checkpoint files as tensors and plain data, after the whole file has been checked.

The only module that calls `torch.load`.
"""

import os
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import torch

from pipeline.errors import InputError

_ATTEMPTS = 5
_MOST_PARTS = 100_000  # of a checkpoint; each tensor is one


def read_contents(path: Path, map_location: Any = "cpu") -> object:  # noqa: ANN401 (as torch.load)
    """Returns the contents of an intact checkpoint file; runs no code that the file contains.

    Tensors are memory-mapped, so that tables of n-grams stay in the file, and only those weights
    are copied that are used.

    A file that is replaced between the check and the reading, as a training does with its
    checkpoints, is checked and read again.

    Raises:
        InputError: If the file is damaged, from another program, or replaced all the time.
    """
    for _ in range(_ATTEMPTS):
        with path.open("rb") as file:
            check_undamaged(path, file)
            checked = os.fstat(file.fileno())
            try:
                contents: object = torch.load(
                    path, map_location=map_location, weights_only=True, mmap=True
                )
            except Exception as error:  # the unpickler raises errors of any type
                raise unreadable(path) from error
            if _is_same(checked, path.stat()):
                return contents
    raise InputError(
        f"checkpoint {path} was replaced {_ATTEMPTS} times while it was read; try again when the "
        "training that writes it has ended"
    )


def check_undamaged(path: Path, file: BinaryIO) -> None:
    """Reads a whole checkpoint file and compares its checksums, the CRC-32 of each part.

    torch does not compare them: a file with changed bytes would give other weights without any
    error. Parts that torch never writes are refused before any is read: a small file with
    compressed or overlapping parts would take all memory or hours.

    Raises:
        InputError: If a checksum differs, a part is not as torch writes it, the file ends too
            early, or it is no checkpoint file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            problem = _unusual(archive.infolist(), os.fstat(file.fileno()).st_size)
            broken = None if problem else archive.testzip()
    except Exception as error:  # a damaged directory raises errors of many types
        raise unreadable(path) from error
    if problem:
        raise unreadable(path, f" ({problem}, which torch never does)")
    if broken is not None:
        raise unreadable(path, f" (the checksum of its part {broken[:80]} differs)")


def _unusual(parts: list[zipfile.ZipInfo], size: int) -> str:
    """Returns what is unusual in the directory of a file with a number of bytes, else ""."""
    names = [part.filename for part in parts]
    places = [PurePosixPath(name).parts for name in names]
    if len(parts) > _MOST_PARTS:
        return f"it has more than {_MOST_PARTS:,} parts"
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        return "its parts are compressed"
    if any(part.file_size != part.compress_size for part in parts):
        return "a part has two sizes"
    if sum(part.file_size for part in parts) > size:
        return "its parts overlap"
    if len(set(names)) < len(names):
        return "two of its parts have the same name"
    is_below = all(len(place) > 1 and place[0] == places[0][0] for place in places)
    if not is_below or any(".." in place or place[0] == "/" for place in places):
        return "its parts are not in one folder"
    if any(part.is_dir() or (part.external_attr >> 16) & 0o170000 == 0o120000 for part in parts):
        return "a part is a folder or a link"
    return ""


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    fields = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def unreadable(path: Path, detail: str = "") -> InputError:
    """Returns the error for a file that is no intact checkpoint."""
    return InputError(
        f"checkpoint {path} cannot be read: it is damaged{detail} or from another program; "
        "expected a file written by `unroll train`; use another copy or checkpoint of the run"
    )
