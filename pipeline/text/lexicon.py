"""What a tagger's input parts are built from: the words of a corpus and the values of columns."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Vectors(NamedTuple):
    """Pretrained vectors of words.

    Attributes:
        name: the file they come from.
        words: those that have one, as the corpus writes them.
        values: float32 [words size].
    """

    name: str
    words: tuple[str, ...]
    values: NDArray[np.float32]


class Lexicon:
    """The words of a corpus, exactly as written, and the values of its other columns.

    A plain class, since jsonargparse would look at each word of a NamedTuple or dataclass.

    Args:
        counts: word -> occurrences in the training text, the most frequent first, followed by the
            words of validation and test that training lacks, with 0.
        columns: name of a column -> its values in the training text, the most frequent first.
        vectors: pretrained vectors of some of the words, or None.
    """

    def __init__(
        self,
        counts: Mapping[str, int],
        columns: Mapping[str, tuple[str, ...]],
        vectors: Vectors | None = None,
    ) -> None:
        self.counts, self.columns, self.vectors = counts, columns, vectors

    def to_state(self) -> dict[str, Any]:
        """Gives plain data for a checkpoint, without the vectors' numbers, which are a model's."""
        vectors = self.vectors
        return {
            "words": list(self.counts),
            "counts": list(self.counts.values()),
            "columns": {name: list(values) for name, values in self.columns.items()},
            "vectors": None
            if vectors is None
            else {
                "name": vectors.name,
                "words": list(vectors.words),
                "size": vectors.values.shape[1],
            },
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Lexicon":
        """Takes what `to_state` gave; the vectors are zeros."""
        vectors = state["vectors"]
        return cls(
            counts=dict(zip(state["words"], state["counts"], strict=True)),
            columns={name: tuple(values) for name, values in state["columns"].items()},
            vectors=None
            if vectors is None
            else Vectors(
                vectors["name"],
                tuple(vectors["words"]),
                np.zeros((len(vectors["words"]), vectors["size"]), dtype=np.float32),
            ),
        )


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names what two states of a lexicon do not have in common.

    Vectors are those of the same words; their file may be called otherwise elsewhere.
    """
    return [
        name
        for name in one
        if one[name] != other[name]
        and not (name == "vectors" and _words_of(one[name]) == _words_of(other[name]))
    ]


def _words_of(vectors: Mapping[str, Any] | None) -> tuple[Any, Any] | None:
    return None if vectors is None else (vectors["words"], vectors["size"])
