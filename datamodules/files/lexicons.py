"""The lexicon of a corpus: its words by frequency, and vectors for them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from datamodules.files.vectors import corpus_vectors
from pipeline.text.lexicon import Lexicon


class CoveredLexicon(NamedTuple):
    """A lexicon, and what to tell a person of its vectors ("" without any)."""

    lexicon: Lexicon
    coverage: str


def build_lexicon(
    train: Iterable[str],
    others: Iterable[str],
    columns: Mapping[str, Iterable[str]],
    vectors: str | None,
) -> CoveredLexicon:
    """Counts words and finds their vectors.

    Args:
        train: tokens of the training text.
        others: tokens of validation and test.
        columns: name of a column -> its values in the training text.
        vectors: file of pretrained vectors, as `corpus_vectors` takes it.

    Raises:
        InputError: the vectors cannot be read.
    """
    counts = Counter(train)
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    ordered.update(dict.fromkeys(sorted(set(others) - counts.keys()), 0))
    values = {name: _by_frequency(column) for name, column in columns.items()}
    if vectors is None:
        return CoveredLexicon(Lexicon(ordered, values), "")
    found, coverage = corpus_vectors(vectors, ordered)
    return CoveredLexicon(Lexicon(ordered, values, found), f"vectors {found.name}: {coverage}")


def _by_frequency(values: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(values)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value)))
