"""Files that may be compressed with gzip, bzip2 or xz, whatever their names."""

import bz2
import gzip
import io
import lzma
import math
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pipeline.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 1 << 20
_MOST_TIMES = 200  # larger than its file; text is 3 to 10 times as large
_ALWAYS = 1 << 26  # bytes that a file of any size may unpack to

_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


def is_compressed(path: Path) -> bool:
    """Returns whether the first bytes of a file are those of gzip, bzip2 or xz."""
    with path.open("rb") as file:
        return _opener(file.read(8)) is not None


def _opener(start: bytes) -> Callable[[Any], Any] | None:
    return next((found for mark, found in _OPENERS.items() if start.startswith(mark)), None)


@contextmanager
def decompressed(file: "io.BufferedReader[Any]") -> Iterator[BinaryIO]:
    """Opens the contents of a file; gzip, bzip2 and xz are recognized by the first bytes.

    Reading damaged data raises an error for which `is_damage` is True, and reading data that no
    text is compressed to raises an `InputError`, since a small file could otherwise fill the memory
    or the disk: more than 64 MiB and 200 times the size of the file.
    """
    opener = _opener(file.peek(8))
    if opener is None:
        yield file
        return
    with opener(file) as unpacked:
        # These files split lines in Python, which is slow; this buffer splits them in C.
        yield cast(BinaryIO, io.BufferedReader(_Limited(unpacked, file), _BUFFER))


class _Limited(io.RawIOBase):
    """What a compressed file contains, up to a number of bytes that depends on its size."""

    def __init__(self, unpacked: BinaryIO, file: "io.BufferedReader[Any]") -> None:
        self._unpacked, self._name = unpacked, file.name
        status = os.fstat(file.fileno())
        is_file = stat.S_ISREG(status.st_mode)
        self._most = max(_ALWAYS, _MOST_TIMES * status.st_size) if is_file else math.inf

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._unpacked.seek(offset, whence)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = cast(io.BufferedIOBase, self._unpacked).readinto(buffer)
        if self._unpacked.tell() > self._most:
            raise InputError(
                f"{self._name} unpacks to more than {_MOST_TIMES} times its size, as no text does; "
                "if it is intact, unpack it and name the unpacked file"
            )
        return count


def is_damage(error: Exception) -> bool:
    """Returns whether an error of a file from `decompressed` is due to damaged compressed data."""
    is_of_bz2 = isinstance(error, OSError) and error.errno is None
    return is_of_bz2 or isinstance(error, (EOFError, zlib.error, lzma.LZMAError))
