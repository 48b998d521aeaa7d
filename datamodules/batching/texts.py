"""The interface of readers of labelled corpora: texts of tokens with one label each."""

import abc
from collections.abc import Mapping, Sequence
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

    def read_other(self, path: Path, labels: Sequence[str]) -> LabelledCorpus | None:
        """Reads other texts in the same format, which become the only split, "test".

        Args:
            path: File or folder.
            labels: Labels of the corpus.

        Returns:
            The texts; None if this reader cannot read the path.

        Raises:
            InputError: If the file is missing or malformed.
        """
        return None


class GivenTexts(LabelledSource):
    """A corpus that has already been read."""

    def __init__(self, corpus: LabelledCorpus, name: str) -> None:
        self._corpus, self.name = corpus, name

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        return self._corpus
