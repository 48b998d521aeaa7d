"""Splits text files into passages: sentences to be tagged, or texts to be classified."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.inference.annotation.text_files import read_lines
from pipeline.text.columns import TextLine
from pipeline.text.treebank import Token, split_sentences, tokenize

_MAX_PARAGRAPH_CHARACTERS = 100_000


class Passage(NamedTuple):
    """A sentence to be tagged or a text to be classified, with its position in its file.

    `token_starts` are the offsets of the tokens in the file, for column files only; otherwise a
    token's offset is `start` plus its offset in `text`. `gold` are the tags in a column file.
    """

    source: str  # file name, or "-" for standard input
    text: str  # as written in the file
    start: int  # character offset in the file
    line: int  # number of the line where the passage begins, from 1
    tokens: list[Token]  # with their offsets in `text`
    columns: tuple[tuple[str, ...], ...] = ()  # of each column that the model reads, the values
    token_starts: tuple[int, ...] = ()
    gold: tuple[str, ...] = ()

    def file_span(self, first: int, end: int) -> tuple[int, int]:
        """Returns the character span in the file of the tokens `first` to `end` (exclusive)."""
        last = self.tokens[end - 1]
        if self.token_starts:
            return self.token_starts[first], self.token_starts[end - 1] + last.end - last.start
        return self.start + self.tokens[first].start, self.start + last.end


def read_passages(source: str, encoding: str, input_format: str) -> Iterator[Passage]:
    """Yields the sentences of a file or of standard input, without loading the whole file.

    The format is "sentences" (one sentence per line), "documents" (paragraphs separated by empty
    lines) or "tokens" (one tokenized sentence per line, tokens separated by single spaces);
    `ColumnInput` reads columns.
    """
    yield from _SENTENCE_READERS[input_format](source, read_lines(source, encoding))


def line_sentences(source: str, lines: Iterator[TextLine], input_format: str) -> Iterator[Passage]:
    """Yields the sentences of lines in a format with one sentence per line."""
    return _SENTENCE_READERS[input_format](source, lines)


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
    yield from _TEXT_READERS[input_format](source, read_lines(source, encoding))


def sentence_passages(sentences: Iterable[str]) -> Iterator[Passage]:
    """Yields sentences given as strings; `line` is the number of the string, from 1."""
    return _sentence_lines("", _numbered(sentences))


def text_passages(texts: Iterable[str]) -> Iterator[Passage]:
    """Yields texts given as strings; `line` is the number of the string, from 1."""
    return _text_lines("", _numbered(texts))


def _numbered(texts: Iterable[str]) -> Iterator[TextLine]:
    return (TextLine(number, 0, text) for number, text in enumerate(texts, 1))


def _sentence_lines(source: str, lines: Iterator[TextLine]) -> Iterator[Passage]:
    for line in lines:
        if tokens := tokenize(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _paragraphs(source: str, lines: Iterator[TextLine]) -> Iterator[Passage]:
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


def _tokenized_lines(source: str, lines: Iterator[TextLine]) -> Iterator[Passage]:
    for line in lines:
        tokens, position = [], 0
        for word in line.text.split(" "):
            if word:
                tokens.append(Token(word, position, position + len(word)))
            position += len(word) + 1
        if tokens:
            yield Passage(source, line.text, line.start, line.number, tokens)


def _text_lines(source: str, lines: Iterator[TextLine]) -> Iterator[Passage]:
    for line in lines:
        if tokens := _tokenize_text(line.text):
            yield Passage(source, line.text, line.start, line.number, tokens)


def _whole_file(source: str, lines: Iterator[TextLine]) -> Iterator[Passage]:
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
_SENTENCE_READERS: dict[str, Callable[[str, Iterator[TextLine]], Iterator[Passage]]] = {
    "sentences": _sentence_lines,
    "documents": _paragraphs,
    "tokens": _tokenized_lines,
}
