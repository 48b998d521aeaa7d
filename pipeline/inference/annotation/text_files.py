"""Reads the lines of a user's text files in any encoding, with their character offsets."""

import codecs
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT
from pipeline.text.columns import TextLine

_LINES_AHEAD = 4096  # of standard input
_BYTE_ORDER_MARK = "\ufeff"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(source: str, encoding: str) -> Iterator[TextLine]:
    r"""Yields the lines of a file or of standard input ("-"); a byte order mark is skipped.

    Raises `InputError` if the file cannot be read, or the encoding is unknown or does not match.
    """
    with _opened(source, encoding) as file:
        start, number = 0, 0
        lines = _read_ahead(file) if source == STANDARD_INPUT else file
        try:
            for number, line in enumerate(lines, start=1):
                text = line.rstrip("\r\n")
                if number == 1 and text.startswith(_BYTE_ORDER_MARK):
                    yield TextLine(1, 1, text[1:])
                else:
                    yield TextLine(number, start, text)
                start += len(line)
        except UnicodeError as error:
            raise _decoding_error(source, encoding, number, error) from error


_ahead: "queue.Queue[str | BaseException | None] | None" = None  # lines of standard input


def input_waits() -> bool:
    """Returns whether all lines of standard input that have arrived were yielded."""
    return _ahead is not None and _ahead.empty()


def _read_ahead(file: TextIO) -> Iterator[str]:
    """Yields lines that a thread reads, so that `input_waits` can tell whether there are more."""
    global _ahead
    found: queue.Queue[str | BaseException | None] = queue.Queue(_LINES_AHEAD)
    _ahead = found
    threading.Thread(target=_fill, args=(file, found), daemon=True).start()
    try:
        while (line := found.get()) is not None:
            if isinstance(line, BaseException):
                raise line
            yield line
    finally:
        _ahead = None


def _fill(file: TextIO, found: "queue.Queue[str | BaseException | None]") -> None:
    try:
        for line in file:
            found.put(line)
        found.put(None)
    except BaseException as error:  # raised again by the reader of the queue
        found.put(error)


@contextmanager
def _opened(source: str, encoding: str) -> Iterator[TextIO]:
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise InputError(
            f"--encoding {encoding} is unknown; expected, for example, utf-8, latin-1, cp1252 or "
            "utf-16"
        ) from error
    is_standard = source == STANDARD_INPUT
    try:
        # newline="" keeps line ends as they are; translating them would shift the offsets.
        with open(
            sys.stdin.fileno() if is_standard else source,
            encoding=encoding,
            newline="",
            closefd=not is_standard,
        ) as file:
            yield file
    except OSError as error:
        raise InputError(
            f"cannot read {source} ({error.strerror}); expected a text file, or - for standard "
            "input"
        ) from error


def _decoding_error(source: str, encoding: str, lines_read: int, error: UnicodeError) -> InputError:
    reason, suggestion = str(error), "latin-1"
    if isinstance(error, UnicodeDecodeError):
        reason = f"byte 0x{error.object[error.start]:02x} cannot be decoded"
        if lines_read == 0 and error.object[:2] in _UTF_16_MARKS:
            suggestion = "utf-16"
    return InputError(
        f"{source} is not {encoding}: {reason} in line {lines_read + 1} or later; give its "
        f"encoding, for example --encoding {suggestion}, or convert the file"
    )
