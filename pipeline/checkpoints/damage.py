"""Detects damaged checkpoint files by the checksums that they contain."""

import zipfile
from pathlib import Path

from pipeline.errors import InputError


def check_undamaged(path: Path) -> None:
    """Reads a whole checkpoint file and compares its checksums, the CRC-32 of each part.

    torch does not compare them: a file with changed bytes would give other weights without any
    error. Compressed parts are refused, since a small file could then fill the memory.

    Raises:
        InputError: If a checksum differs, a part is compressed, the file ends too early, or it is
            no checkpoint file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            packed = any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
            broken = None if packed else archive.testzip()
    except Exception as error:  # a damaged directory raises errors of many types
        raise unreadable(path) from error
    if packed:
        raise unreadable(path, " (its parts are compressed, which torch never does)")
    if broken is not None:
        raise unreadable(path, f" (the checksum of its part {broken[:80]} differs)")


def unreadable(path: Path, detail: str = "") -> InputError:
    """Returns the error for a file that is no intact checkpoint."""
    return InputError(
        f"checkpoint {path} cannot be read: it is damaged{detail} or from another program; "
        "expected a file written by `unroll train`; use another copy or checkpoint of the run"
    )
