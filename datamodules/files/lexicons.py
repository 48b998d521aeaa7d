"""The lexicon of a corpus: its words by frequency, and their vectors."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from datamodules.files.vectors import corpus_vectors
from pipeline.text.lexicon import Lexicon


class CoveredLexicon(NamedTuple):
    """A lexicon, and a note about the coverage of its vectors ("" without vectors)."""

    lexicon: Lexicon
    coverage: str


def build_lexicon(
    train: Iterable[str],
    others: Iterable[str],
    columns: Mapping[str, Iterable[str]],
    vectors: str | None,
) -> CoveredLexicon:
    """Builds a lexicon of the words of all splits.

    The words that occur only in `others`, the validation and test texts, get the count 0. `columns`
    contains the values of each column in the training text, and `vectors` is a file of pretrained
    word vectors as in `locate_vectors`. Raises `InputError` if the vectors cannot be read.
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
