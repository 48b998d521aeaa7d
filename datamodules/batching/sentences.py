"""The interface of readers of tagged corpora: sentences of tokens, BIO tags and other columns."""

import abc
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pipeline.text.layout import ColumnLayout


class Sentence(NamedTuple):
    """A sentence of a tagged corpus.

    Attributes:
        tokens: Tokens as written in the file.
        tags: One BIO (IOB2) tag per token, such as "B-PER", "I-PER", "O".
        columns: Values of the other columns, one per token, in the order of
            `TaggedCorpus.column_names`.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...] = ()


class TaggedCorpus(NamedTuple):
    """The sentences of a tagged corpus.

    `scheme` is the tag scheme of the files: "IOB1", "IOB2", "BIOES" or "BIO without types"; it is
    "labels" if each token has a label of its own, such as a part of speech. `held_out` are the
    splits without a file of their own, with a note on which sentences of the training file they
    contain. `layout` describes the columns of the files, if these have columns.
    """

    splits: dict[str, list[Sentence]]  # "train", "valid", "test" -> sentences
    files: dict[str, Path]  # split -> file of its sentences
    column_names: tuple[str, ...]  # names of `Sentence.columns`, such as ("pos",)
    scheme: str
    notes: tuple[str, ...] = ()  # for the user, about how the files were read
    held_out: Mapping[str, str] = MappingProxyType({})
    layout: ColumnLayout | None = None


class TaggedSource(abc.ABC):
    """A reader of a tagged corpus; a source with folds has a parameter `fold`."""

    name: str  # second part of the name of the MLflow experiment, such as "conll2003"
    num_folds: int = 0  # number of cross-validation folds that the corpus defines; 0 if none

    @abc.abstractmethod
    def read(self) -> TaggedCorpus:
        """Returns the corpus; raises an `InputError` if a file is missing or malformed."""

    def read_other(self, path: Path, scheme: str) -> TaggedCorpus | None:
        """Reads other sentences in the same format, which become the only split, "test".

        Args:
            path: File, or folder with a test file.
            scheme: Tag scheme of the corpus, as in `TaggedCorpus`.

        Returns:
            The sentences; None if this reader reads one corpus only.

        Raises:
            InputError: If the file is missing or malformed.
        """
        return None


class GivenSentences(TaggedSource):
    """A corpus that has already been read."""

    def __init__(self, corpus: TaggedCorpus, name: str) -> None:
        self._corpus, self.name = corpus, name

    def read(self) -> TaggedCorpus:
        """See `TaggedSource`."""
        return self._corpus
