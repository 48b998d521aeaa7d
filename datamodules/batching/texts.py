"""What every reader of labelled text gives: texts of tokens, with one label each."""

import abc
from pathlib import Path
from typing import NamedTuple


class LabelledText(NamedTuple):
    """A text with its label.

    Attributes:
        tokens: one or more.
        label: as written in the corpus.
    """

    tokens: tuple[str, ...]
    label: str


class LabelledCorpus(NamedTuple):
    """The texts of a corpus.

    Attributes:
        splits: "train", "valid", "test" -> texts.
        files: split -> the file or folder that its texts come from.
        labels: those that training holds, in their order where they have one.
        is_ordinal: the labels have an order, as the stars of a review.
        phrases: for each text of "train", and then for each that was left out of it, the phrases of
            it that have a label of their own; () where there are none. They are trained on, never
            scored.
        notes: what a person should know about how the files were read, a sentence each.
    """

    splits: dict[str, list[LabelledText]]
    files: dict[str, Path]
    labels: tuple[str, ...]
    is_ordinal: bool = False
    phrases: tuple[tuple[LabelledText, ...], ...] = ()
    notes: tuple[str, ...] = ()


class LabelledSource(abc.ABC):
    """Reads a corpus of labelled texts.

    Attributes:
        name: the corpus, as "sst2"; the second part of the MLflow experiment's name.
        num_folds: how many folds the corpus has of its own; 0 if none. A source with folds takes
            `fold` as a parameter.
    """

    name: str
    num_folds: int = 0

    @abc.abstractmethod
    def read(self) -> LabelledCorpus:
        """Reads it.

        Raises:
            InputError: a file is missing or not what it should be: file, line, what was expected.
        """
