"""Files that may be compressed with gzip, bzip2 or xz, whatever their names."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


@contextmanager
def decompressed(file: io.BufferedReader) -> Iterator[BinaryIO]:
    """Opens the contents of a file; gzip, bzip2 and xz are recognized by the first bytes.

    Reading damaged data raises an error for which `is_damage` is True.
    """
    start = file.peek(8)
    opener = next((found for mark, found in _OPENERS.items() if start.startswith(mark)), None)
    if opener is None:
        yield file
        return
    with opener(file) as unpacked:
        yield cast(BinaryIO, io.BufferedReader(unpacked))


def is_damage(error: Exception) -> bool:
    """Returns whether an error of a file from `decompressed` is due to damaged compressed data."""
    is_of_bz2 = isinstance(error, OSError) and error.errno is None
    return is_of_bz2 or isinstance(error, (EOFError, zlib.error, lzma.LZMAError))
