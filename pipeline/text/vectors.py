"""Pretrained vectors of the words of a corpus."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from pipeline.errors import InputError
from pipeline.text.lexicon import Vectors
from pipeline.text.vector_formats import read_vectors

Match: TypeAlias = Literal["exact", "lower", "escape", "digits"]
MATCHES: tuple[Match, ...] = get_args(Match)
"""How a word of a corpus finds its vector, the closest first."""

_ESCAPES = {
    "-LRB-": "(",
    "-RRB-": ")",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
    "``": '"',
    "''": '"',
}
_ESCAPED = re.compile(r"\\([/*])")
_LONG_NUMBER = re.compile(r"[0-9]{2,}")


class WordVectors(NamedTuple):
    """Vectors of words, and how each word found its own.

    Attributes:
        vectors: of the words that have one, in the order in which they were asked for.
        matches: one for each of `vectors.words`.
    """

    vectors: Vectors
    matches: tuple[Match, ...]


def load_vectors(path: Path, words: Iterable[str], size: int | None = None) -> WordVectors:
    """Reads the vectors of words from a file of GloVe, fastText (`.vec`) or word2vec.

    A word takes the vector of the first of its `spellings` that the file has. The formats, and what
    is checked of them, are those of `read_vectors`.

    Args:
        path: the file.
        words: the words of a corpus, as it writes them.
        size: the size that is expected; None takes any.

    Returns:
        The vectors, `values[i]` for `words[i]`.

    Raises:
        InputError: as `read_vectors`; or none of the words has a vector, or one has a vector that
            is not finite.
    """
    wanted = {word: spellings(word) for word in words}
    rows = read_vectors(path, {s for known in wanted.values() for _, s in known}, size)
    matched = [
        (word, *next((match, rows[s]) for match, s in known if s in rows))
        for word, known in wanted.items()
        if any(s in rows for _, s in known)
    ]
    if not matched:
        shown = ", ".join(list(wanted)[:5])
        raise InputError(
            f"{path} has a vector for none of the {len(wanted):,} words of the corpus ({shown}, "
            "...); vectors of the same language and spelling are expected"
        )
    for word, _, row in matched:
        if not np.isfinite(row).all():
            raise InputError(
                f"the vector of {word!r} in {path} holds numbers that are not finite as float32; "
                "correct or remove it, or get the file again"
            )
    found, matches, values = zip(*matched, strict=True)
    return WordVectors(Vectors(path.name, found, np.stack(values)), matches)


def spellings(word: str) -> list[tuple[Match, str]]:
    r"""Gives the spellings under which a word's vector is looked up, the closest first.

    Exactly as written; in lower case; without the escapes of the Penn Treebank (-LRB- as "(", ``
    and '' as a straight quote, \/ as "/"); and with # for each digit of a number of two digits or
    more, as the vectors of GoogleNews write them. Both of the last ones are tried in lower case
    as well. A lower-cased word does not find a capitalised one: "us" is not "US".
    """
    plain = _ESCAPES.get(word.upper()) or _ESCAPED.sub(r"\1", word)
    digits = _LONG_NUMBER.sub(lambda number: "#" * len(number[0]), plain)
    return [
        ("exact", word),
        ("lower", word.lower()),
        ("escape", plain),
        ("escape", plain.lower()),
        ("digits", digits),
        ("digits", digits.lower()),
    ]
