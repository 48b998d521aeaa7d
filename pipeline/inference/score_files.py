"""Sentences, a line each, and n-best lists, from a file or standard input, plain or gzipped."""

import codecs
import gzip
import io
import math
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, cast

from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT

MAX_LINE_BYTES = 1_000_000
"""A line of as many bytes is refused, as in a corpus: a file without line ends is no text."""
_GZIP = b"\x1f\x8b"
_MARKS_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FIELDS = "ID ||| hypothesis, and perhaps ||| features ||| score, is expected"


class Line(NamedTuple):
    """A sentence.

    Attributes:
        number: of its line, from 1.
        text: without the line's end.
    """

    number: int
    text: str


class Hypothesis(NamedTuple):
    """A line of an n-best list.

    Attributes:
        list_id: lines of one list have the same.
        line: its number, and the text of the hypothesis alone.
        features: as written; "" if there are none.
        score: what the list is ordered by so far; 0 if there is none.
        rest: fields after the score, as alignments.
    """

    list_id: str
    line: Line
    features: str = ""
    score: float = 0.0
    rest: tuple[str, ...] = ()


def read_lines(source: str) -> Iterator[Line]:
    r"""Reads UTF-8 text line by line, never all of it at once.

    As in a corpus only "\n" ends a line, and an editor's mark at the beginning is no word.

    Args:
        source: a file, or "-"; gzipped text is told by its first bytes.

    Raises:
        InputError: the file cannot be read, is not UTF-8, holds no line or too long a one.
    """
    number = 0
    try:
        with _opened(source) as file:
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield Line(number, _decode(raw, source, number))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{_name(source)} is torn: its gzipped text breaks off after line {number} ({error}); "
            "get it again"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot read {_name(source)} ({error.strerror}); a readable text file, or - for "
            "standard input, is expected"
        ) from error
    if not number:
        raise InputError(f"{_name(source)} is empty; a sentence a line is expected")


def read_nbest(source: str) -> Iterator[Hypothesis]:
    """Reads n-best lists as Moses writes them: `ID ||| hypothesis ||| features ||| score`.

    Args:
        source: as in `read_lines`.

    Raises:
        InputError: as `read_lines`, a line is malformed, or those of a list do not stand together.
    """
    seen: set[str] = set()
    current: str | None = None
    for line in read_lines(source):
        hypothesis = _parse(line, source)
        if hypothesis.list_id != current:
            current = hypothesis.list_id
            if current in seen:
                raise InputError(
                    f"line {line.number} of {_name(source)} goes on with the list {current}, which "
                    "had ended; the lines of a list are expected to stand together, so sort them"
                )
            seen.add(current)
        yield hypothesis


def _parse(line: Line, source: str) -> Hypothesis:
    where = f"line {line.number} of {_name(source)}"
    list_id, *fields = (field.strip() for field in line.text.split("|||"))
    if len(fields) in (0, 2):
        raise InputError(f"{where} has {1 + len(fields)} fields with ||| between them; {_FIELDS}")
    if not list_id:
        raise InputError(f"{where} begins without the ID of its list; {_FIELDS}")
    sentence = Line(line.number, fields[0])
    if len(fields) == 1:
        return Hypothesis(list_id, sentence)
    try:
        score = float(fields[2])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{where} has the score {fields[2]!r}, which is no number; {_FIELDS}")
    return Hypothesis(list_id, sentence, fields[1], score, tuple(fields[3:]))


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    is_standard = source == STANDARD_INPUT
    with open(sys.stdin.fileno() if is_standard else source, "rb", closefd=not is_standard) as file:
        if not file.peek(2).startswith(_GZIP):
            yield file
            return
        with gzip.open(file) as unzipped:
            yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, unzipped)))


def _decode(raw: bytes, source: str, number: int) -> str:
    if len(raw.rstrip(b"\r\n")) >= MAX_LINE_BYTES:
        raise InputError(
            f"line {number} of {_name(source)} is {MAX_LINE_BYTES:,} bytes or longer; a sentence a "
            "line is expected"
        )
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        other = "UTF-16" if number == 1 and raw[:2] in _MARKS_16 else "WINDOWS-1252"
        raise InputError(
            f"{_name(source)} is not UTF-8: line {number} holds the byte 0x{raw[error.start]:02x}; "
            f"convert it, for example with `iconv -f {other} -t UTF-8`"
        ) from error


def _name(source: str) -> str:
    return "standard input" if source == STANDARD_INPUT else source
