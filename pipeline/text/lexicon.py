"""The words, column values and labels of a corpus, which a datamodule gives to its task."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import malformed

_SHA256 = re.compile("[0-9a-f]{64}")


class VectorFile(NamedTuple):
    """A file of word vectors."""

    path: str  # absolute, on the machine of training
    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, state: object) -> "VectorFile":
        """Returns the file in the state of a lexicon; raises `InputError` if it is none."""
        match state:
            case [str(path), int(num_bytes), str(sha256)] if (
                type(num_bytes) is int and num_bytes >= 0 and _SHA256.fullmatch(sha256)
            ):
                return cls(path, num_bytes, sha256)
        raise malformed(
            "lexicon.vectors.file", state, "a path, a number of bytes and a SHA-256 in hexadecimal"
        )


class Vectors(NamedTuple):
    """Pretrained word vectors."""

    name: str  # name of the file
    words: tuple[str, ...]  # words that have a vector, as spelled in the corpus
    values: NDArray[np.float32]  # vectors, float32 [words size]
    file: VectorFile | None = None  # where the vectors of other words are found


class Lexicon:
    """The words of a corpus, exactly as written, and the values of its other columns.

    It is a plain class, because jsonargparse would validate each word of a NamedTuple or dataclass.

    Args:
        counts: Word -> number of occurrences in the training text, most frequent first, followed by
            the words that occur in validation or test only, with 0.
        columns: Column name -> values of the column in the training text, most frequent first.
        vectors: Pretrained vectors of some of the words, or None.

    Example:
        >>> lexicon = Lexicon({"the": 2, "cat": 1}, {"pos": ("DT", "NN")})
        >>> Lexicon.from_state(lexicon.to_state()).columns
        {'pos': ('DT', 'NN')}
    """

    def __init__(
        self,
        counts: Mapping[str, int],
        columns: Mapping[str, tuple[str, ...]],
        vectors: Vectors | None = None,
    ) -> None:
        self.counts, self.columns, self.vectors = counts, columns, vectors

    def extended(self, words: Iterable[str]) -> "Lexicon":
        """Returns the lexicon with further words, which do not occur in the training text."""
        new = dict.fromkeys(sorted(set(words) - self.counts.keys()), 0)
        return Lexicon({**self.counts, **new}, self.columns, self.vectors)

    def to_state(self) -> dict[str, Any]:
        """Returns plain data for a checkpoint, without the vectors' values (the model has them)."""
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
                "file": None if vectors.file is None else list(vectors.file),
            },
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Lexicon":
        """Returns the lexicon in the state of a datamodule; its vectors are zeros."""
        return cls.from_state(data["lexicon"])

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Lexicon":
        """Creates a lexicon from the result of `to_state`; its vectors are zeros."""
        vectors = state["vectors"]
        if vectors is not None and not isinstance(vectors["name"], str):
            raise malformed("lexicon.vectors.name", vectors["name"], "the name of a file")
        return cls(
            counts=dict(zip(state["words"], state["counts"], strict=True)),
            columns={name: tuple(values) for name, values in state["columns"].items()},
            vectors=None
            if vectors is None
            else Vectors(
                vectors["name"],
                tuple(vectors["words"]),
                np.zeros((len(vectors["words"]), vectors["size"]), dtype=np.float32),
                None if vectors["file"] is None else VectorFile.of(vectors["file"]),
            ),
        )


class Labels:
    """The labels in the training texts, in their order.

    It is a plain class like `Lexicon`, because the command line passes it from the data to the
    task.

    Args:
        names: Labels as written in the corpus.
        counts: Number of training texts of each label, including phrases if these are used.
        is_ordinal: Whether the labels have an order, such as the stars of a review.

    Example:
        >>> labels = Labels(["negative", "positive"], counts=[3, 5])
        >>> labels.to_state()
        {'names': ['negative', 'positive'], 'counts': [3, 5], 'ordinal': False}
    """

    def __init__(
        self, names: Sequence[str], counts: Sequence[int], is_ordinal: bool = False
    ) -> None:
        self.names, self.counts, self.is_ordinal = tuple(names), tuple(counts), is_ordinal

    def to_state(self) -> dict[str, Any]:
        """Returns plain data for a checkpoint."""
        return {"names": list(self.names), "counts": list(self.counts), "ordinal": self.is_ordinal}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Labels":
        """Creates the labels in the state of a datamodule."""
        state = data["labels"]
        return cls(state["names"], state["counts"], state["ordinal"])


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Returns the keys in which two states of a lexicon differ.

    Vectors are equal if they have the same words; their file may differ.
    """
    return [
        name
        for name in one
        if one[name] != other[name]
        and not (name == "vectors" and _words_of(one[name]) == _words_of(other[name]))
    ]


def _words_of(vectors: Mapping[str, Any] | None) -> tuple[Any, Any] | None:
    return None if vectors is None else (vectors["words"], vectors["size"])
