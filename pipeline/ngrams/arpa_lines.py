"""Lines of ARPA files, compressed or not."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import InputError, os_error_sentence
from pipeline.text.compressed import decompressed, is_damage

DATA, LAST = "\\data\\", "\\end\\"
_MAX_LINE_BYTES = 1_000_000
_SNIFFED_BYTES = 1_000_000
_BLANK = " \t\r\n"
_IRSTLM = ("iARPA", "blmt")
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class ArpaLines:
    r"""The lines of an ARPA file that are not blank, from the one after `\data\` on.

    Args:
        path: The file, for messages.
        file: Its contents, without compression.

    Raises:
        InputError: If the file has no line `\data\` or is in IRSTLM's own format.

    Attributes:
        number: Number of the last line read, from 1.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.number = 0
        self._path, self._file = path, file
        self._find_data()

    def read(self) -> str:
        """Reads a line that is not blank, without white space around it."""
        while line := self._read():
            try:
                text = line.decode("utf-8").strip(_BLANK)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{self._path} is not UTF-8: byte 0x{line[error.start]:02x} in line "
                    f"{self.number} cannot be decoded; convert the file, for example with "
                    "`iconv -f WINDOWS-1252 -t UTF-8`"
                ) from error
            if text:
                return text
        raise self.error("is missing: the file ends before \\end\\; download it again")

    def finish(self) -> None:
        """Reads up to a megabyte more, so that the checksum of compressed data is verified."""
        self._file.read(_MAX_LINE_BYTES)

    def error(self, what: str, number: int | None = None) -> InputError:
        """Returns an error about the last line, or that with a number."""
        return InputError(f"line {number or self.number} of {self._path} {what}")

    def _find_data(self) -> None:
        is_first = True
        while line := self._read():
            text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip(_BLANK)
            if text == DATA:
                return
            if is_first and text.startswith(_IRSTLM):
                raise InputError(
                    f"{self._path} has IRSTLM's own format, whose numbers have another meaning; "
                    "convert it to ARPA, with `compile-lm --text=yes`"
                )
            if is_first and line.startswith(_UTF_16_MARKS):
                raise InputError(
                    f"{self._path} is UTF-16; convert it, for example with "
                    "`iconv -f UTF-16 -t UTF-8`"
                )
            is_first = is_first and not text
        raise InputError(f"{self._path} is not an ARPA file: it has no line {DATA}")

    def _read(self) -> bytes:
        line = self._file.readline(_MAX_LINE_BYTES)
        self.number += 1
        if len(line) == _MAX_LINE_BYTES:
            raise self.error(f"has {_MAX_LINE_BYTES:,} bytes or more; use an ARPA file")
        return line


@contextmanager
def opened_arpa(path: Path) -> Iterator[ArpaLines]:
    """Opens an ARPA file; gzip, bzip2 and xz are recognized by the first bytes.

    Raises an `InputError` if the file is missing, damaged or not an ARPA file.
    """
    if not path.is_file():
        raise InputError(f"ARPA file {path} does not exist")
    try:
        with path.open("rb") as file, decompressed(file) as plain:
            yield ArpaLines(path, plain)
    except InputError:
        raise
    except Exception as error:
        if is_damage(error):
            message = f"compressed file {path} is damaged ({error}); download it again"
            raise InputError(message) from error
        if isinstance(error, OSError):
            message = f"cannot read {os_error_sentence(error)}; use an ARPA file"
            raise InputError(message) from error
        raise


def is_arpa(path: Path) -> bool:
    r"""Returns whether a file has a line `\data\` in its first megabyte."""
    try:
        with path.open("rb") as file, decompressed(file) as plain:
            lines = plain.read(_SNIFFED_BYTES).split(b"\n")
            return any(line.strip() == DATA.encode() for line in lines)
    except Exception as error:
        if is_damage(error) or isinstance(error, OSError):
            return False
        raise
