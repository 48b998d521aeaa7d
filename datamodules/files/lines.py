"""Reads text line by line, in bounded memory."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from pipeline.errors import InputError

MAX_LINE_BYTES = 1_000_000
LARGE = 50_000_000
"""Bytes of text from which on reading shows a progress bar."""


def read_lines(
    path: Path,
    max_line_bytes: int = MAX_LINE_BYTES,
    encoding: str = "utf-8",
    setting: str | None = None,
    flag: str | None = None,
) -> Iterator[str]:
    r"""Reads a text line by line.

    Only "\n" ends a line, so U+0085, U+2028 and their like stay inside.

    Args:
        path: the text.
        max_line_bytes: the length from which on a line is refused.
        encoding: of the text, one in which ASCII is ASCII.
        setting: what a person can raise where a line is too long.
        flag: what names the encoding, where a person can.

    Yields:
        The lines, line ends included.

    Raises:
        InputError: the file is not in that encoding, or a line is too long.
    """
    _refuse_wide(path, encoding)
    size = path.stat().st_size
    hidden = None if size >= LARGE else True  # None: shown where stderr is a terminal
    with (
        path.open("rb") as file,
        tqdm(
            total=size, desc=path.name, unit="B", unit_scale=True, leave=False, disable=hidden
        ) as bar,
    ):
        number = offset = 0
        while line := file.readline(max_line_bytes):
            number += 1
            if len(line) == max_line_bytes and not line.endswith(b"\n"):
                raise InputError(
                    f"line {number} of {path} is {max_line_bytes:,} bytes or longer; text with a"
                    " sentence or a paragraph a line is expected: break the line"
                    + (f", or raise {setting}" if setting else "")
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # an editor's mark, not a word
            yield _decode(line, path, (number, offset), encoding, flag)
            offset += len(line)
            bar.update(len(line))


def _refuse_wide(path: Path, encoding: str) -> None:
    """Refuses encodings in which a line end is no single byte, declared or not."""
    with path.open("rb") as file:
        mark = file.read(2)
    if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or re.match(
        r"utf[-_]?(16|32)", encoding, re.IGNORECASE
    ):
        raise InputError(
            f"{path} is UTF-16 (or was said to be); text with a byte for each ASCII character is "
            "expected: convert the file, for example with `iconv -f UTF-16 -t UTF-8`"
        )


def _decode(
    line: bytes, path: Path, place: tuple[int, int], encoding: str, flag: str | None
) -> str:
    try:
        return line.decode(encoding)
    except LookupError as error:
        raise InputError(
            f"the encoding {encoding} is not known here; utf-8, cp1252 or latin-1, say, is expected"
        ) from error
    except UnicodeDecodeError as error:
        number, offset = place
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise InputError(
            f"{path} is not {name}: byte {offset + error.start} (in line {number}) is"
            f" 0x{line[error.start]:02x}; "
            + (f"name its encoding, as {flag}=cp1252, or " if flag else "")
            + "convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from error
