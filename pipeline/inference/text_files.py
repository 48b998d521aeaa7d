"""Text as people have it, sentence by sentence, with the places that it comes from."""

import codecs
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TextIO

from pipeline.errors import InputError
from pipeline.text.column_files import DOCSTART
from pipeline.text.treebank import Token, split_sentences, tokenise

STANDARD_INPUT = "-"
_MARK = "\ufeff"
_MARKS_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PARAGRAPH = 100_000  # characters of a paragraph that are held
_LONGEST = 100_000  # tokens of a sentence in columns


class Passage(NamedTuple):
    """A sentence to be tagged.

    Attributes:
        source: the file's name, "-" for standard input.
        text: as it was written.
        start: where it begins in the file, in characters.
        line: the number of the line that it begins on, from 1.
        tokens: with places in `text`.
        columns: for each column that the model reads, a value per token.
        places: where each token begins in the file, in characters, where that is not `start` and
            its place in `text`; none otherwise.
    """

    source: str
    text: str
    start: int
    line: int
    tokens: list[Token]
    columns: tuple[tuple[str, ...], ...] = ()
    places: tuple[int, ...] = ()

    def place(self, first: int, end: int) -> tuple[int, int]:
        """Gives where tokens from `first` up to `end`, exclusive, begin and end in the file."""
        last = self.tokens[end - 1]
        if self.places:
            return self.places[first], self.places[end - 1] + last.end - last.start
        return self.start + self.tokens[first].start, self.start + last.end


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


def read_texts(source: str, encoding: str, style: str) -> Iterator[Passage]:
    """Reads the texts of a file, each of any number of sentences, or of standard input.

    Args:
        source: a file, or "-".
        encoding: of its bytes.
        style: "sentences": a text a line; "documents": the file is one text; "tokens": a line is
            tokens with one space between them.

    Raises:
        InputError: the file is missing or of another encoding, or `style` is another.
    """
    if style not in _TEXT_READERS:
        raise InputError(
            f"--format {style} is for taggers; a classifier reads {', '.join(_TEXT_READERS)}"
        )
    with _opened(source, encoding) as file:
        yield from _TEXT_READERS[style](source, _lines(source, file, encoding), 0)


@contextmanager
def _opened(source: str, encoding: str) -> Iterator[TextIO]:
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise InputError(
            f"--encoding {encoding} is not an encoding that is known here; utf-8, latin-1, cp1252 "
            "or utf-16, say, is expected"
        ) from error
    # Line ends stay as they are, or places would shift.
    descriptor = sys.stdin.fileno() if source == STANDARD_INPUT else source
    try:
        with open(
            descriptor, encoding=encoding, newline="", closefd=source != STANDARD_INPUT
        ) as file:
            yield file
    except OSError as error:
        raise InputError(
            f"cannot read {source} ({error.strerror}); a readable text file, or - for standard "
            "input, is expected"
        ) from error


def _lines(source: str, file: TextIO, encoding: str) -> Iterator[_Line]:
    start, number = 0, 0
    try:
        for number, line in enumerate(file, start=1):
            text = line.rstrip("\r\n")
            if number == 1 and text.startswith(_MARK):  # an editor's mark, not a word
                yield _Line(1, 1, text[1:])
            else:
                yield _Line(number, start, text)
            start += len(line)
    except UnicodeError as error:
        what, other = str(error), "latin-1"
        if isinstance(error, UnicodeDecodeError):
            what = f"it holds the byte 0x{error.object[error.start]:02x}, which is none of it"
            other = "utf-16" if number == 0 and error.object[:2] in _MARKS_16 else other
        raise InputError(
            f"{source} is not {encoding}: {what}, in line {number + 1} or after it; name its "
            f"encoding, as --encoding {other}, or convert the file"
        ) from error


def _sentences(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    for line in lines:
        if tokens := tokenise(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _documents(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    """Cuts paragraphs, which end at an empty line, into sentences of any number of lines.

    A paragraph without an end is cut after so many characters, at the end of a sentence.
    """
    paragraph: list[_Line] = []
    size = 0
    for line in lines:
        if line.text.strip():
            paragraph.append(line)
            size += len(line.text)
            if size > _PARAGRAPH:
                *done, last = _paragraph(source, paragraph)
                yield from done or [last]
                paragraph = _rest(last, paragraph) if done else []
                size = len(last.text) if done else 0
        elif paragraph:
            yield from _paragraph(source, paragraph)
            paragraph, size = [], 0
    if paragraph:
        yield from _paragraph(source, paragraph)


def _paragraph(source: str, lines: list[_Line]) -> Iterator[Passage]:
    first = lines[0].start
    text = _joined(lines, first, " ")
    starts = [line.start - first for line in lines]
    for start, end in split_sentences(text):
        number = lines[bisect_right(starts, start) - 1].number
        sentence = text[start:end]
        yield Passage(source, sentence, first + start, number, tokenise(sentence))


def _joined(lines: list[_Line], first: int, end: str) -> str:
    """Joins lines with line ends as long as theirs, so that places are those of the file."""
    pieces: list[str] = []
    place = first
    for line in lines:
        pieces += [end * (line.start - place), line.text]
        place = line.start + len(line.text)
    return "".join(pieces)


def _rest(last: Passage, lines: list[_Line]) -> list[_Line]:
    """Gives what the last sentence so far is made of: it may go on."""
    rest = []
    for line in lines:
        cut = last.start - line.start
        if cut <= 0:
            rest.append(line)
        elif cut < len(line.text):
            rest.append(_Line(line.number, last.start, line.text[cut:]))
    return rest


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
    block: list[tuple[_Line, list[str]]] = []
    width = 0
    for line in lines:
        # As a corpus is read: a token may be U+00A0, and a document begins with its own line.
        if not line.text.strip(" \t") or line.text.startswith(DOCSTART):
            if block:
                yield _block(source, block, num_columns)
            block = []
            continue
        fields = line.text.split("\t" if "\t" in line.text else " ")
        if len(fields) < 1 + num_columns or "" in fields[: 1 + num_columns]:
            raise InputError(
                f"line {line.number} of {source} has {sum(map(bool, fields))} columns; the token "
                f"and {num_columns} columns that the model reads are expected, with TAB or one "
                "space between them"
            )
        width = width or len(fields)
        if len(fields) != width:
            raise InputError(
                f"line {line.number} of {source} has {len(fields)} columns, {width} are expected, "
                "as before; a token a line is expected (--format sentences reads plain text)"
            )
        block.append((line, fields))
        if len(block) > _LONGEST:
            raise InputError(
                f"line {line.number} of {source}: the sentence that begins at line "
                f"{block[0][0].number} has more than {_LONGEST:,} tokens; an empty line after each "
                "sentence is expected"
            )
    if block:
        yield _block(source, block, num_columns)


def _block(source: str, block: list[tuple[_Line, list[str]]], num_columns: int) -> Passage:
    tokens, place = [], 0
    for _, fields in block:
        tokens.append(Token(fields[0], place, place + len(fields[0])))
        place += len(fields[0]) + 1
    columns = tuple(tuple(fields[1 + n] for _, fields in block) for n in range(num_columns))
    text = " ".join(fields[0] for _, fields in block)
    begin = block[0][0]
    places = tuple(line.start for line, _ in block)
    return Passage(source, text, begin.start, begin.number, tokens, columns, places)


def _text_lines(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    for line in lines:
        if tokens := _all_tokens(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _whole(source: str, lines: Iterator[_Line], _num_columns: int) -> Iterator[Passage]:
    read = list(lines)
    first = read[0].start if read else 0
    text = _joined(read, first, "\n")
    if tokens := _all_tokens(text):
        yield Passage(source, text, first, 1, tokens)


def _all_tokens(text: str) -> list[Token]:
    """Cuts a text of any number of sentences."""
    return [
        Token(token.text, token.start + start, token.end + start)
        for start, end in split_sentences(text)
        for token in tokenise(text[start:end])
    ]


_TEXT_READERS = {"sentences": _text_lines, "documents": _whole, "tokens": _tokens}
_READERS: dict[str, Callable[[str, Iterator[_Line], int], Iterator[Passage]]] = {
    "sentences": _sentences,
    "documents": _documents,
    "tokens": _tokens,
    "columns": _columns,
}
FORMATS = tuple(_READERS)
"""What a file may hold: a sentence a line; paragraphs; sentences that are cut into tokens, with one
space between them; a token a line."""
