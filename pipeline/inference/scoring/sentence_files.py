"""Reads sentences, one per line, from plain or gzipped UTF-8 text."""

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT
from pipeline.text.compressed import decompressed, is_damage

MAX_LINE_BYTES = 1_000_000
"""Limit of the length of a line; a longer one shows that the file is not text."""
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class InputLine(NamedTuple):
    """A line of text to be scored, with its number from 1, and without its line end."""

    number: int
    text: str


def read_lines(source: str) -> Iterator[InputLine]:
    r"""Yields the lines of UTF-8 text without loading the whole file; "-" is standard input.

    As in the corpus readers, only "\n" ends a line, and a byte order mark is skipped. Gzip, bzip2
    and xz are recognized by the first bytes. Raises `InputError` if the file cannot be read, is
    empty or not UTF-8, or has too long a line.
    """
    number = 0
    try:
        with _opened(source) as file:
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield InputLine(number, _decode(raw, source, number))
    except InputError:
        raise
    except Exception as error:
        if is_damage(error):
            raise InputError(
                f"{file_name(source)} is incomplete: its compressed data ends after line {number} "
                f"({error}); copy or download it again"
            ) from error
        if not isinstance(error, OSError):
            raise
        raise InputError(
            f"cannot read {file_name(source)} ({error.strerror}); expected a text file, or - for "
            "standard input"
        ) from error
    if not number:
        raise InputError(f"{file_name(source)} is empty; expected one sentence per line")


def file_name(source: str) -> str:
    """Returns the name of a source for messages."""
    return "standard input" if source == STANDARD_INPUT else source


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    is_standard = source == STANDARD_INPUT
    name = sys.stdin.fileno() if is_standard else source
    with open(name, "rb", closefd=not is_standard) as file, decompressed(file) as plain:
        yield plain


def _decode(raw: bytes, source: str, number: int) -> str:
    if len(raw.rstrip(b"\r\n")) >= MAX_LINE_BYTES:
        raise InputError(
            f"line {number} of {file_name(source)} has {MAX_LINE_BYTES:,} bytes or more; expected "
            "one sentence per line"
        )
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        encoding = "UTF-16" if number == 1 and raw[:2] in _UTF_16_MARKS else "WINDOWS-1252"
        raise InputError(
            f"{file_name(source)} is not UTF-8: byte 0x{raw[error.start]:02x} in line {number} "
            f"cannot be decoded; convert the file, for example with `iconv -f {encoding} -t UTF-8`"
        ) from error
