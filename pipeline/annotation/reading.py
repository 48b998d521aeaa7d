"""Text as people have it, sentence by sentence, with the places that it comes from."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from pipeline.errors import InputError
from pipeline.text.treebank import Token, split_sentences, tokenise

STANDARD_INPUT = "-"


class Passage(NamedTuple):
    """A sentence to be tagged.

    Attributes:
        source: the file's name, "-" for standard input.
        text: as it was written.
        start: where it begins in the file, in characters.
        line: the number of the line that it begins on, from 1.
        tokens: with places in `text`.
        columns: for each column that the model reads, a value per token.
    """

    source: str
    text: str
    start: int
    line: int
    tokens: list[Token]
    columns: tuple[tuple[str, ...], ...] = ()


class _Line(NamedTuple):
    number: int
    start: int  # in characters
    text: str  # without its end


def read_passages(source: str, encoding: str, style: str, num_columns: int) -> Iterator[Passage]:
    """Reads the sentences of a file, or of standard input, never all of them at once.

    Args:
        source: a file, or "-".
        encoding: of its bytes.
        style: one of `FORMATS`.
        num_columns: columns that the model reads.

    Raises:
        InputError: the file is missing or of another encoding, or a line is not of `style`.
    """
    with _opened(source, encoding) as file:
        yield from _READERS[style](source, _lines(source, file, encoding), num_columns)


@contextmanager
def _opened(source: str, encoding: str) -> Iterator[TextIO]:
    # Line ends stay as they are, or places would shift.
    descriptor = sys.stdin.fileno() if source == STANDARD_INPUT else source
    try:
        with open(
            descriptor, encoding=encoding, newline="", closefd=source != STANDARD_INPUT
        ) as file:
            yield file
    except LookupError as error:
        raise InputError(f"--encoding {encoding} is not an encoding that is known here") from error
    except OSError as error:
        raise InputError(
            f"cannot read {source} ({error.strerror}); a readable text file, or - for standard "
            "input, is expected"
        ) from error


def _lines(source: str, file: TextIO, encoding: str) -> Iterator[_Line]:
    start, number = 0, 0
    try:
        for number, line in enumerate(file, start=1):
            yield _Line(number, start, line.rstrip("\r\n"))
            start += len(line)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is not {encoding}: after line {number} stands the byte "
            f"0x{error.object[error.start]:02x}, which is none of it; name its encoding, as "
            "--encoding latin-1, or convert the file"
        ) from error


def _sentences(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    for line in lines:
        if tokens := tokenise(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _documents(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    """Cuts paragraphs, which end at an empty line, into sentences of any number of lines."""
    paragraph: list[_Line] = []
    for line in lines:
        if line.text.strip():
            paragraph.append(line)
        elif paragraph:
            yield from _paragraph(source, paragraph)
            paragraph = []
    if paragraph:
        yield from _paragraph(source, paragraph)


def _paragraph(source: str, lines: list[_Line]) -> Iterator[Passage]:
    first = lines[0].start
    # As long as the lines and their ends, so that places are those of the file.
    text = ""
    for line in lines:
        text = text.ljust(line.start - first) + line.text
    for start, end in split_sentences(text):
        number = max(line.number for line in lines if line.start - first <= start)
        sentence = text[start:end]
        yield Passage(source, sentence, first + start, number, tokenise(sentence))


def _tokens(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    for line in lines:
        tokens, place = [], 0
        for word in line.text.split(" "):
            if word:
                tokens.append(Token(word, place, place + len(word)))
            place += len(word) + 1
        if tokens:
            yield Passage(source, line.text, line.start, line.number, tokens)


def _columns(source: str, lines: Iterator[_Line], num_columns: int) -> Iterator[Passage]:
    """Reads a token a line, then the columns that the model reads; others are left alone."""
    rows: list[list[str]] = []
    begin: _Line | None = None
    for line in lines:
        if not line.text.strip():
            if begin is not None:
                yield _block(source, begin, rows, num_columns)
            rows, begin = [], None
            continue
        fields = line.text.split("\t" if "\t" in line.text else " ")
        if len(fields) < 1 + num_columns:
            raise InputError(
                f"line {line.number} of {source} has {len(fields)} columns; the token and "
                f"{num_columns} columns that the model reads are expected, with TAB or one space "
                "between them"
            )
        begin = begin or line
        rows.append(fields)
    if begin is not None:
        yield _block(source, begin, rows, num_columns)


def _block(source: str, begin: _Line, rows: list[list[str]], num_columns: int) -> Passage:
    tokens, place = [], 0
    for fields in rows:
        tokens.append(Token(fields[0], place, place + len(fields[0])))
        place += len(fields[0]) + 1
    columns = tuple(tuple(fields[1 + n] for fields in rows) for n in range(num_columns))
    text = " ".join(fields[0] for fields in rows)
    return Passage(source, text, begin.start, begin.number, tokens, columns)


_READERS: dict[str, Callable[[str, Iterator[_Line], int], Iterator[Passage]]] = {
    "sentences": _sentences,
    "documents": _documents,
    "tokens": _tokens,
    "columns": _columns,
}
FORMATS = tuple(_READERS)
"""What a file may hold: a sentence a line; paragraphs; sentences that are cut into tokens, with one
space between them; a token a line."""


def check_files(sources: list[Path | str]) -> None:
    """Raises `InputError` for a file that is not there, before a model is loaded."""
    for source in sources:
        if str(source) != STANDARD_INPUT and not Path(source).is_file():
            raise InputError(f"--input {source}: there is no such file")
