"""Pretrained vectors for the words of a corpus."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from pipeline.errors import InputError, shortened
from pipeline.text.lexicon import Vectors
from pipeline.text.vector_formats import Row, read_vectors

Match: TypeAlias = Literal["exact", "lower", "escape", "digits"]
MATCHES: tuple[Match, ...] = get_args(Match)
"""Ways in which a word of a corpus matches a word of the file, in order of preference."""

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
    """Word vectors with the match of each word."""

    vectors: Vectors  # of the words that the file has, in the requested order
    matches: tuple[Match, ...]  # match of each of `vectors.words`


def load_vectors(path: Path, words: Iterable[str], size: int | None = None) -> WordVectors:
    """Reads the vectors of words from a file of GloVe, fastText (`.vec`) or word2vec.

    A word gets the vector of the first of its `spellings` that the file has. `read_vectors`
    describes the supported formats. Raises an `InputError` if the file cannot be read or is
    damaged, its vectors do not have the expected `size`, it has none of the words, or a vector is
    not finite.
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
            f"{path} has no vector for any of the {len(wanted):,} words of the corpus ({shown}, "
            "...); use vectors of the same language and spelling"
        )
    for word, _, row in matched:
        check_finite(row, word, path)
    found, matches, values = zip(*matched, strict=True)
    return WordVectors(Vectors(path.name, found, np.stack(values)), matches)


def check_finite(row: Row, word: str, path: Path) -> None:
    """Raises `InputError` if the vector of a word has infinite values or NaN."""
    if not np.isfinite(row).all():
        raise InputError(
            f"the vector of {shortened(word)!r} in {path} has values that are not finite in "
            "float32; correct or remove it, or download the file again"
        )


def spellings(word: str) -> list[tuple[Match, str]]:
    r"""Returns the spellings under which a word's vector is looked up, in order of preference.

    These are the word as written; in lower case; without the escapes of the Penn Treebank (-LRB- as
    "(", `` and '' as a straight quote, \/ as "/"); and with # for each digit of a number of at
    least two digits, like in the vectors of GoogleNews. The last two are also tried in lower case.
    A lowercase word never matches a capitalized one: "us" is not "US".

    Example:
        >>> [spelling for _, spelling in spellings("1990S")]
        ['1990S', '1990s', '1990S', '1990s', '####S', '####s']
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
