"""The interface of readers of labelled corpora: texts of tokens with one label each."""

import abc
from pathlib import Path
from typing import NamedTuple


class LabelledText(NamedTuple):
    """A text with its label."""

    tokens: tuple[str, ...]  # at least one
    label: str  # as written in the corpus


class LabelledCorpus(NamedTuple):
    """The texts of a labelled corpus.

    Attributes:
        splits: "train", "valid", "test" -> texts.
        files: Split -> file or folder of its texts.
        labels: Labels of the training texts, ascending if they are ordinal.
        is_ordinal: Whether the labels have an order, such as the stars of a review.
        phrases: Labelled phrases of each text of "train", followed by those of each text that was
            left out of it; () if there are none. They are used in training only.
        notes: Remarks for the user about how the files were read, one sentence each.
    """

    splits: dict[str, list[LabelledText]]
    files: dict[str, Path]
    labels: tuple[str, ...]
    is_ordinal: bool = False
    phrases: tuple[tuple[LabelledText, ...], ...] = ()
    notes: tuple[str, ...] = ()


class LabelledSource(abc.ABC):
    """A reader of a corpus of labelled texts.

    Attributes:
        name: Name of the corpus, such as "sst2"; the second part of the MLflow experiment.
        num_folds: Number of cross-validation folds that the corpus defines; 0 if none. A source
            with folds has a parameter `fold`.
    """

    name: str
    num_folds: int = 0

    @abc.abstractmethod
    def read(self) -> LabelledCorpus:
        """Returns the corpus; raises an `InputError` if a file is missing or malformed."""
