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
    """A line of text to be scored, or a piece of a long one, without its line end.

    Attributes:
        number: Number of the line, from 1.
        text: The text.
        is_start: Whether the line begins with this piece.
        is_end: Whether the line ends with it.
    """

    number: int
    text: str
    is_start: bool = True
    is_end: bool = True


def read_lines(source: str, in_pieces: bool = False) -> Iterator[InputLine]:
    r"""Yields the lines of UTF-8 text without loading the whole file; "-" is standard input.

    As in the corpus readers, only "\n" ends a line, and a byte order mark is skipped. Gzip, bzip2
    and xz are recognized by the first bytes. With `in_pieces`, lines of 1,000,000 bytes or more are
    cut before white space. Raises `InputError` if the file cannot be read, is empty or not UTF-8,
    its line ends are CR alone, or it has too long a line, with `in_pieces` too long a word.
    """
    number = 0
    try:
        with _opened(source) as file:
            for number, raw, is_start, is_end in _pieces(file, source, in_pieces):
                yield InputLine(number, _decode(raw, source, number), is_start, is_end)
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


def _pieces(
    file: BinaryIO, source: str, in_pieces: bool
) -> Iterator[tuple[int, bytes, bool, bool]]:
    """Yields line number, bytes, whether a line begins with them and whether it ends with them."""
    number, rest = 1, b""
    is_start = True
    while raw := rest + file.readline(MAX_LINE_BYTES + 1 - len(rest)):
        text, rest = raw.rstrip(b"\r\n"), b""
        if number == 1 and b"\r" in text and b"\n" not in raw:
            raise InputError(
                f"{file_name(source)} has line ends of old Macintosh files (CR alone); convert "
                "them, for example with `tr '\\r' '\\n'`"
            )
        if is_end := len(text) < MAX_LINE_BYTES:
            yield number, text, is_start, is_end
        else:
            end = max(raw.rfind(blank) for blank in (b" ", b"\t")) if in_pieces else -1
            piece = raw[: max(end, 0)].rstrip(b" \t\r")
            if not piece:
                raise InputError(
                    f"line {number} of {file_name(source)} has {MAX_LINE_BYTES:,} bytes or more"
                    f"{' without white space' * in_pieces}; expected one sentence per line"
                )
            yield number, piece, is_start, is_end
            rest = raw[len(piece) :]
        is_start, number = is_end, number + is_end


def _decode(raw: bytes, source: str, number: int) -> str:
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        encoding = "UTF-16" if number == 1 and raw[:2] in _UTF_16_MARKS else "WINDOWS-1252"
        raise InputError(
            f"{file_name(source)} is not UTF-8: byte 0x{raw[error.start]:02x} in line {number} "
            f"cannot be decoded; convert the file, for example with `iconv -f {encoding} -t UTF-8`"
        ) from error
