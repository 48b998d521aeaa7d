"""Parser of bracketed trees with a label at each node, as in the Stanford Sentiment Treebank."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from datamodules.files.lines import read_lines
from pipeline.errors import InputError

MAX_LABEL = 4
_WORD = re.compile("[^() ]+")


class Phrase(NamedTuple):
    """The words below a node and its label.

    Attributes:
        tokens: Words; a word may contain U+00A0.
        label: Label from 0 (very negative) to 4 (very positive).
    """

    tokens: tuple[str, ...]
    label: int


def read_trees(path: Path) -> Iterator[list[Phrase]]:
    """Reads a file with one tree per line, such as `(3 (2 Good) (2 film))`; skips empty lines.

    Args:
        path: Path of the file, in UTF-8.

    Yields:
        The phrases of a tree: first the whole sentence, then all others from left to right.

    Raises:
        InputError: If a line is not a tree with labels from 0 to 4.
    """
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            yield parse_tree(line.strip())
        except ValueError as error:
            raise InputError(
                f"line {number} of {path} is not a tree: {error}; a tree such as "
                "(3 (2 Good) (2 film)) is expected"
            ) from error


def parse_tree(text: str) -> list[Phrase]:
    """Parses one tree.

    Args:
        text: A tree such as `(3 (2 Good) (2 film))`.

    Returns:
        The phrases: first the whole sentence, then all others from left to right.

    Raises:
        ValueError: If the text is not a tree.

    Example:
        >>> parse_tree("(3 (2 Good) (2 film))")[0]
        Phrase(tokens=('Good', 'film'), label=3)
    """
    builder = _Builder(text)
    position = 0
    while position < len(text):
        position = builder.read(position)
    return builder.finish()


class _Builder:
    """Collects the phrases of a tree from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[str] = []
        self._phrases: list[Phrase | None] = []
        self._open: list[
            tuple[int, int, int]
        ] = []  # index of the phrase, label, index of its first word

    def read(self, position: int) -> int:
        """Reads the element at a position; returns the position of the next element."""
        character = self._text[position]
        if character == "(":
            return self._begin(position)
        if character == ")":
            return self._end(position)
        if character == " ":
            return position + 1
        if not self._open:
            raise ValueError(f"character {position + 1} is outside all brackets")
        word = cast(re.Match[str], _WORD.match(self._text, position))[0]
        self._words.append(word)
        return position + len(word)

    def finish(self) -> list[Phrase]:
        """Returns the phrases after the whole text was read."""
        if self._open:
            raise ValueError(f"{len(self._open)} brackets are not closed")
        return [phrase for phrase in self._phrases if phrase is not None]

    def _begin(self, position: int) -> int:
        if self._phrases and not self._open:
            raise ValueError(f"a second tree begins at character {position + 1}")
        label = _label(self._text, position + 1)
        self._open.append((len(self._phrases), label, len(self._words)))
        self._phrases.append(None)
        return position + 3

    def _end(self, position: int) -> int:
        if not self._open:
            raise ValueError(f"the bracket at character {position + 1} closes nothing")
        place, label, first = self._open.pop()
        if first == len(self._words):
            raise ValueError(f"the node that ends at character {position + 1} has no word")
        self._phrases[place] = Phrase(tuple(self._words[first:]), label)
        return position + 1


def _label(text: str, position: int) -> int:
    digit, space = text[position : position + 1], text[position + 1 : position + 2]
    if not (digit.isascii() and digit.isdigit() and int(digit) <= MAX_LABEL and space == " "):
        raise ValueError(
            f"a number from 0 to {MAX_LABEL} and a space are expected at character {position + 1}, "
            f"got {text[position : position + 2]!r}"
        )
    return int(digit)
