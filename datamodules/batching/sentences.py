"""What every reader of tagged text gives: sentences of tokens, BIO tags and other columns."""

import abc
from pathlib import Path
from typing import NamedTuple


class Sentence(NamedTuple):
    """A sentence of a tagged corpus.

    Attributes:
        tokens: as written in the file.
        tags: one BIO (IOB2) tag per token, as "B-PER", "I-PER", "O".
        columns: for each other column, in the order of `TaggedCorpus.column_names`, one value per
            token.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...] = ()


class TaggedCorpus(NamedTuple):
    """The sentences of a corpus.

    Attributes:
        splits: "train", "valid", "test" -> sentences.
        files: split -> the file that its sentences come from.
        column_names: names of `Sentence.columns`, as ("pos",).
        scheme: how the tags were written: "IOB1", "IOB2", "BIOES" or "BIO without types";
            "labels" where each token has a label of its own, as a part of speech.
        notes: what a person should know about how the files were read, a sentence each.
    """

    splits: dict[str, list[Sentence]]
    files: dict[str, Path]
    column_names: tuple[str, ...]
    scheme: str
    notes: tuple[str, ...] = ()


class Source(abc.ABC):
    """Reads a tagged corpus.

    Attributes:
        name: the corpus, as "conll2003"; the second part of the MLflow experiment's name.
        num_folds: how many folds the corpus has of its own; 0 if none. A source with folds takes
            `fold` as a parameter.
    """

    name: str
    num_folds: int = 0

    @abc.abstractmethod
    def read(self) -> TaggedCorpus:
        """Reads it.

        Raises:
            InputError: a file is missing or not what it should be: file, line, what was expected.
        """
