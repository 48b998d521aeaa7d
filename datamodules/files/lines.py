"""Reading text line by line in bounded memory."""

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pipeline.console import progress_bar
from pipeline.errors import InputError

MAX_LINE_BYTES = 1_000_000
LARGE = 50_000_000
"""Size in bytes from which on reading shows a progress bar."""


def read_lines(
    path: Path,
    max_line_bytes: int = MAX_LINE_BYTES,
    encoding: str = "utf-8",
    setting: str | None = None,
    flag: str | None = None,
) -> Iterator[str]:
    r"""Yields the lines of a text with their line ends, without reading all of it into RAM.

    Only "\n" ends a line; separators such as U+0085 and U+2028 are ordinary characters. The
    encoding must be an extension of ASCII. Raises `InputError` if the file is not in this encoding,
    its line ends are CR alone, or a line has `max_line_bytes` or more. The message names the flag
    that raises this limit (`setting`) or the flag that sets the encoding (`flag`).
    """
    _refuse_utf16(path, encoding)
    with path.open("rb") as file, _bar(path) as advance:
        number = offset = 0
        while line := file.readline(max_line_bytes):
            number += 1
            if number == 1 and not line.endswith(b"\n") and b"\r" in line.rstrip(b"\r"):
                raise InputError(
                    f"{path} has line ends of old Macintosh files (CR alone); convert them, for "
                    "example with `tr '\\r' '\\n'`"
                )
            if len(line) == max_line_bytes and not line.endswith(b"\n"):
                raise InputError(
                    f"line {number} of {path} has {max_line_bytes:,} bytes or more; one sentence or"
                    " paragraph per line is expected: break the line"
                    + (f", or raise {setting}" if setting else "")
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # written by some editors
            yield _decode(line, path, (number, offset), encoding, flag)
            offset += len(line)
            advance(len(line))


def refuse_damaged(text: str, where: str) -> None:
    """Raises `InputError` if a text contains NUL or lone surrogates, which JSON can encode."""
    if "\0" in text:
        raise InputError(
            f"{where} contains a NUL character; the file is damaged or has another encoding"
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{where} contains half a character (a lone surrogate); it was truncated")


def _bar(path: Path) -> AbstractContextManager[Callable[[int], None]]:
    size = path.stat().st_size
    if size < LARGE:
        return nullcontext(lambda _: None)
    return progress_bar(path.name, size, is_bytes=True)


def _refuse_utf16(path: Path, encoding: str) -> None:
    """Rejects UTF-16 and UTF-32, in which a line end is not a single byte."""
    with path.open("rb") as file:
        mark = file.read(2)
    if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or re.match(
        r"utf[-_]?(16|32)", encoding, re.IGNORECASE
    ):
        raise InputError(
            f"{path} is UTF-16 or UTF-32, which is not supported; convert the file, for example "
            "with `iconv -f UTF-16 -t UTF-8`"
        )


def _decode(
    line: bytes, path: Path, place: tuple[int, int], encoding: str, flag: str | None
) -> str:
    try:
        return line.decode(encoding)
    except LookupError as error:
        raise InputError(
            f"unknown encoding {encoding}; expected for example utf-8, cp1252 or latin-1"
        ) from error
    except UnicodeDecodeError as error:
        number, offset = place
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise InputError(
            f"{path} is not {name}: byte {offset + error.start} (in line {number}) is"
            f" 0x{line[error.start]:02x}; "
            + (f"set its encoding, for example {flag}=cp1252, or " if flag else "")
            + "convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from error
