"""The interface of readers of tagged corpora: sentences of tokens, BIO tags and other columns."""

import abc
from pathlib import Path
from typing import NamedTuple


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

    Attributes:
        splits: "train", "valid", "test" -> sentences.
        files: Split -> file of its sentences.
        column_names: Names of `Sentence.columns`, such as ("pos",).
        scheme: Tag scheme of the files: "IOB1", "IOB2", "BIOES" or "BIO without types"; "labels"
            if each token has a label of its own, such as a part of speech.
        notes: Remarks for the user about how the files were read, one sentence each.
    """

    splits: dict[str, list[Sentence]]
    files: dict[str, Path]
    column_names: tuple[str, ...]
    scheme: str
    notes: tuple[str, ...] = ()


class TaggedSource(abc.ABC):
    """A reader of a tagged corpus.

    Attributes:
        name: Name of the corpus, such as "conll2003"; the second part of the MLflow experiment.
        num_folds: Number of cross-validation folds that the corpus defines; 0 if none. A source
            with folds has a parameter `fold`.
    """

    name: str
    num_folds: int = 0

    @abc.abstractmethod
    def read(self) -> TaggedCorpus:
        """Returns the corpus; raises an `InputError` if a file is missing or malformed."""
