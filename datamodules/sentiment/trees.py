"""Parser of bracketed trees with a label at each node, as in the Stanford Sentiment Treebank."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.files.lines import read_lines
from pipeline.errors import InputError

_PART = re.compile(r"\((?:([0-4]) )?|\)|[^() ]+")


class Phrase(NamedTuple):
    """The words below a node and its label."""

    tokens: tuple[str, ...]  # a word may contain U+00A0
    label: int  # from 0 (very negative) to 4 (very positive)


def read_trees(path: Path) -> Iterator[list[Phrase]]:
    """Yields the phrases of each tree of a UTF-8 file with one tree per line; skips empty lines.

    Raises `InputError` if a line is not a tree with labels from 0 to 4.
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
    """Returns the phrases of a tree: the whole sentence, then all others from left to right.

    Raises `ValueError` if the text is not a tree.

    Example:
        >>> parse_tree("(3 (2 Good) (2 film))")[0]
        Phrase(tokens=('Good', 'film'), label=3)
    """
    words: list[str] = []
    phrases: list[Phrase] = []
    unclosed: list[tuple[int, int]] = []  # index of the phrase, index of its first word
    for part in _PART.finditer(text):
        place = f"character {part.start() + 1}"
        if part[0].startswith("("):
            if phrases and not unclosed:
                raise ValueError(f"a second tree begins at {place}")
            unclosed.append((len(phrases), len(words)))
            phrases.append(Phrase((), _label(part)))
        elif not unclosed:
            closes = part[0] == ")"
            raise ValueError(
                f"the bracket at {place} closes nothing" if closes else f"{place} is outside a tree"
            )
        elif part[0] == ")":
            index, first = unclosed.pop()
            if first == len(words):
                raise ValueError(f"the node that ends at {place} has no word")
            phrases[index] = phrases[index]._replace(tokens=tuple(words[first:]))
        else:
            words.append(part[0])
    if unclosed:
        raise ValueError(f"{len(unclosed)} brackets are not closed")
    return phrases


def _label(part: re.Match[str]) -> int:
    if part[1] is None:
        start = part.end()
        raise ValueError(
            f"a number from 0 to 4 and a space are expected at character {start + 1}, "
            f"got {part.string[start : start + 2]!r}"
        )
    return int(part[1])
