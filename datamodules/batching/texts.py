"""The interface of readers of labelled corpora: texts of tokens with one label each."""

import abc
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple


class LabelledText(NamedTuple):
    """A text with its label."""

    tokens: tuple[str, ...]  # at least one
    label: str  # as written in the corpus


class LabelledCorpus(NamedTuple):
    """The texts of a labelled corpus.

    `phrases` are labelled phrases of each text of "train", followed by those of each text that was
    left out of it. They are used in training only. `held_out` are the splits without a file of
    their own, with a note on which texts of the training file they contain.
    """

    splits: dict[str, list[LabelledText]]  # "train", "valid", "test" -> texts
    files: dict[str, Path]  # split -> file or folder of its texts
    labels: tuple[str, ...]  # those of the training texts, ascending if they are ordinal
    is_ordinal: bool = False  # whether the labels have an order, such as stars
    phrases: tuple[tuple[LabelledText, ...], ...] = ()
    notes: tuple[str, ...] = ()  # for the user, about how the files were read
    held_out: Mapping[str, str] = MappingProxyType({})


class LabelledSource(abc.ABC):
    """A reader of a corpus of labelled texts; a source with folds has a parameter `fold`."""

    name: str  # second part of the name of the MLflow experiment, such as "sst2"
    num_folds: int = 0  # number of cross-validation folds that the corpus defines; 0 if none

    @abc.abstractmethod
    def read(self) -> LabelledCorpus:
        """Returns the corpus; raises an `InputError` if a file is missing or malformed."""
