"""Splits text files into passages: sentences to be tagged, or texts to be classified."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.inference.annotation.text_files import read_lines
from pipeline.text.columns import TextLine
from pipeline.text.tags import DOCSTART
from pipeline.text.treebank import Token, split_sentences, tokenize

_MAX_PARAGRAPH_CHARACTERS = 100_000
_MAX_COLUMN_TOKENS = 100_000  # of one sentence


class Passage(NamedTuple):
    """A sentence to be tagged or a text to be classified, with its position in its file.

    `token_starts` are the offsets of the tokens in the file, for column files only; otherwise a
    token's offset is `start` plus its offset in `text`.
    """

    source: str  # file name, or "-" for standard input
    text: str  # as written in the file
    start: int  # character offset in the file
    line: int  # number of the line where the passage begins, from 1
    tokens: list[Token]  # with their offsets in `text`
    columns: tuple[tuple[str, ...], ...] = ()  # of each column that the model reads, the values
    token_starts: tuple[int, ...] = ()

    def file_span(self, first: int, end: int) -> tuple[int, int]:
        """Returns the character span in the file of the tokens `first` to `end` (exclusive)."""
        last = self.tokens[end - 1]
        if self.token_starts:
            return self.token_starts[first], self.token_starts[end - 1] + last.end - last.start
        return self.start + self.tokens[first].start, self.start + last.end


def read_passages(
    source: str, encoding: str, input_format: str, num_columns: int
) -> Iterator[Passage]:
    """Yields the sentences of a file or of standard input, without loading the whole file.

    The format is "sentences" (one sentence per line), "documents" (paragraphs separated by empty
    lines), "tokens" (one tokenized sentence per line, tokens separated by single spaces) or
    "columns" (one token per line, followed by its columns, of which the model reads `num_columns`;
    an empty line after each sentence).
    """
    yield from _SENTENCE_READERS[input_format](source, read_lines(source, encoding), num_columns)


def line_sentences(source: str, lines: Iterator[TextLine], input_format: str) -> Iterator[Passage]:
    """Yields the sentences of lines in a format with one sentence per line."""
    return _SENTENCE_READERS[input_format](source, lines, 0)


def read_texts(source: str, encoding: str, input_format: str) -> Iterator[Passage]:
    """Yields the texts of a file or of standard input; each has any number of sentences.

    The format is "sentences" (one text per line), "documents" (the whole file is one text) or
    "tokens" (one tokenized text per line, tokens separated by single spaces).
    """
    if input_format not in _TEXT_READERS:
        raise InputError(
            f"--format {input_format} is for taggers only; a classifier reads "
            f"{', '.join(_TEXT_READERS)}"
        )
    yield from _TEXT_READERS[input_format](source, read_lines(source, encoding), 0)


def sentence_passages(sentences: Iterable[str]) -> Iterator[Passage]:
    """Yields sentences given as strings; `line` is the number of the string, from 1."""
    return _sentence_lines("", _numbered(sentences), 0)


def text_passages(texts: Iterable[str]) -> Iterator[Passage]:
    """Yields texts given as strings; `line` is the number of the string, from 1."""
    return _text_lines("", _numbered(texts), 0)


def _numbered(texts: Iterable[str]) -> Iterator[TextLine]:
    return (TextLine(number, 0, text) for number, text in enumerate(texts, 1))


def _sentence_lines(source: str, lines: Iterator[TextLine], _num_columns: int) -> Iterator[Passage]:
    for line in lines:
        if tokens := tokenize(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _paragraphs(source: str, lines: Iterator[TextLine], _num_columns: int) -> Iterator[Passage]:
    """Splits paragraphs into sentences, which may extend over several lines.

    A paragraph that exceeds the limit is split after its last complete sentence.
    """
    paragraph: list[TextLine] = []
    size = 0
    for line in lines:
        if line.text.strip():
            paragraph.append(line)
            size += len(line.text)
            if size > _MAX_PARAGRAPH_CHARACTERS:
                *complete, last = _split_paragraph(source, paragraph)
                yield from complete or [last]
                paragraph = _lines_from(last.start, paragraph) if complete else []
                size = len(last.text) if complete else 0
        elif paragraph:
            yield from _split_paragraph(source, paragraph)
            paragraph, size = [], 0
    if paragraph:
        yield from _split_paragraph(source, paragraph)


def _split_paragraph(source: str, lines: list[TextLine]) -> Iterator[Passage]:
    first = lines[0].start
    text = _joined(lines, first, " ")
    starts = [line.start - first for line in lines]
    for start, end in split_sentences(text):
        number = lines[bisect_right(starts, start) - 1].number
        sentence = text[start:end]
        yield Passage(source, sentence, first + start, number, tokenize(sentence))


def _joined(lines: list[TextLine], first: int, separator: str) -> str:
    """Joins lines; each line end is replaced by as many separators, which keeps the offsets."""
    pieces: list[str] = []
    position = first
    for line in lines:
        pieces += [separator * (line.start - position), line.text]
        position = line.start + len(line.text)
    return "".join(pieces)


def _lines_from(start: int, lines: list[TextLine]) -> list[TextLine]:
    rest = []
    for line in lines:
        cut = start - line.start
        if cut <= 0:
            rest.append(line)
        elif cut < len(line.text):
            rest.append(TextLine(line.number, start, line.text[cut:]))
    return rest


def _tokenized_lines(
    source: str, lines: Iterator[TextLine], _num_columns: int
) -> Iterator[Passage]:
    for line in lines:
        tokens, position = [], 0
        for word in line.text.split(" "):
            if word:
                tokens.append(Token(word, position, position + len(word)))
            position += len(word) + 1
        if tokens:
            yield Passage(source, line.text, line.start, line.number, tokens)


def _column_sentences(
    source: str, lines: Iterator[TextLine], num_columns: int
) -> Iterator[Passage]:
    """Reads one token per line and the columns after it; columns beyond `num_columns` are ignored.

    As in the corpus readers, only spaces and TABs are white space (a token may be U+00A0), and a
    -DOCSTART- line separates documents.
    """
    rows: list[tuple[TextLine, list[str]]] = []
    width = 0
    for line in lines:
        if not line.text.strip(" \t") or line.text.startswith(DOCSTART):
            if rows:
                yield _column_passage(source, rows, num_columns)
            rows = []
            continue
        fields = line.text.split("\t" if "\t" in line.text else " ")
        width = width or len(fields)
        _check_fields(f"line {line.number} of {source}", fields, width, num_columns)
        rows.append((line, fields))
        if len(rows) > _MAX_COLUMN_TOKENS:
            raise InputError(
                f"line {line.number} of {source}: the sentence that begins in line "
                f"{rows[0][0].number} has more than {_MAX_COLUMN_TOKENS:,} tokens; expected an "
                "empty line after each sentence"
            )
    if rows:
        yield _column_passage(source, rows, num_columns)


def _check_fields(where: str, fields: list[str], width: int, num_columns: int) -> None:
    if len(fields) < 1 + num_columns or "" in fields[: 1 + num_columns]:
        raise InputError(
            f"{where} has {sum(map(bool, fields))} fields; expected a token and {num_columns} "
            "columns for the model, separated by TAB or one space"
        )
    if len(fields) != width:
        raise InputError(
            f"{where} has {len(fields)} fields; expected {width} as in the lines before, with one "
            "token per line (--format sentences reads plain text)"
        )


def _column_passage(
    source: str, rows: list[tuple[TextLine, list[str]]], num_columns: int
) -> Passage:
    tokens, position = [], 0
    for _, fields in rows:
        tokens.append(Token(fields[0], position, position + len(fields[0])))
        position += len(fields[0]) + 1
    columns = tuple(tuple(fields[1 + n] for _, fields in rows) for n in range(num_columns))
    text = " ".join(fields[0] for _, fields in rows)
    first = rows[0][0]
    token_starts = tuple(line.start for line, _ in rows)
    return Passage(source, text, first.start, first.number, tokens, columns, token_starts)


def _text_lines(source: str, lines: Iterator[TextLine], _num_columns: int) -> Iterator[Passage]:
    for line in lines:
        if tokens := _tokenize_text(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _whole_file(source: str, lines: Iterator[TextLine], _num_columns: int) -> Iterator[Passage]:
    all_lines = list(lines)
    first = all_lines[0].start if all_lines else 0
    text = _joined(all_lines, first, "\n")
    if tokens := _tokenize_text(text):
        yield Passage(source, text, first, 1, tokens)


def _tokenize_text(text: str) -> list[Token]:
    return [
        Token(token.text, token.start + start, token.end + start)
        for start, end in split_sentences(text)
        for token in tokenize(text[start:end])
    ]


_TEXT_READERS = {"sentences": _text_lines, "documents": _whole_file, "tokens": _tokenized_lines}
_SENTENCE_READERS: dict[str, Callable[[str, Iterator[TextLine], int], Iterator[Passage]]] = {
    "sentences": _sentence_lines,
    "documents": _paragraphs,
    "tokens": _tokenized_lines,
    "columns": _column_sentences,
}
