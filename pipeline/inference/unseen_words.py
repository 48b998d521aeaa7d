"""Looks up words that a trained model has not seen in the file of its pretrained vectors."""

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.text.lexicon import VectorFile
from pipeline.text.vector_index import VectorIndex


class Counts(NamedTuple):
    """Numbers of passages and tokens that were read.

    Attributes:
        passages: Number of passages.
        tokens: Number of their tokens.
        unseen: Number of tokens that do not occur in the training text.
        found: Number of tokens whose vector was looked up in the file of pretrained vectors.
        unknown: Number of tokens that are read as the unknown word.
    """

    passages: int = 0
    tokens: int = 0
    unseen: int = 0
    found: int = 0
    unknown: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Returns the sums of both."""
        return Counts(*map(operator.add, self, other))


class UnseenWords:
    """The pretrained vectors of words that the corpus of a trained model does not contain.

    In training, words of the validation and test text have their pretrained vectors, too, so a
    sentence gets the same tags whether it is in the test split or is read later. The file must have
    the size and digest that it had in training. Without it, a note is printed, and words that are
    not in the corpus are read as unknown.

    Args:
        trained: Trained model with input parts.
        given: File of vectors; by default that of training, at its path then or in
            `$UNROLL_DATA/vectors`.

    Attributes:
        known: Words of the corpus.

    Raises:
        InputError: If the file has changed since training, or is given for a model without
            pretrained vectors.
    """

    def __init__(self, trained: Trained, given: Path | None = None) -> None:
        self._inputs: Any = cast(Any, trained.model).inputs
        lexicon = trained.data["lexicon"]
        self.known = set(lexicon["words"])
        pairs = zip(lexicon["words"], lexicon["counts"], strict=True)
        self._trained_on = {word for word, count in pairs if count}
        self._index: VectorIndex | None = None
        if any(part.looks_up for part in self._inputs.tables_of_words):
            self._index = _open(lexicon["vectors"], given)
        elif given is not None:
            raise InputError(
                f"--vectors {given}: the model reads no pretrained word vectors; leave it out"
            )
        self._file_name = None if self._index is None else Path(self._index.file.path).name

    def read(self, words: Sequence[str], ids: Tensor, num_passages: int) -> Counts:
        """Adds the vectors of words to the model, in place of those added before.

        Args:
            words: Distinct words.
            ids: Index into `words` of each token, int64 [tokens].
            num_passages: Number of passages that contain the tokens.

        Returns:
            How often the words occur.
        """
        is_found = torch.zeros(len(words), dtype=torch.bool)
        if self._index is not None:
            unseen = sorted(word for word in words if word not in self.known)
            found = self._index.find(unseen)
            self._inputs.look_up(found)
            is_found = torch.tensor([word in found for word in words], dtype=torch.bool)
        is_unseen = torch.tensor([word not in self._trained_on for word in words])
        is_unknown = self._inputs.are_unknown(words)
        if is_unknown is None:
            is_unknown = torch.zeros_like(is_found)
        flags = (is_unseen, is_found, is_unknown)
        return Counts(num_passages, len(ids), *(int(flag[ids].sum()) for flag in flags))

    def summary(self, counts: Counts, unit: str) -> str:
        """Returns a note with the numbers of passages (called `unit`), tokens and unknown words."""
        total = max(counts.tokens, 1)
        text = (
            f"{counts.passages:,} {unit}, {counts.tokens:,} tokens: "
            f"{counts.unseen / total:.1%} do not occur in the training text"
        )
        if self._file_name is not None:
            text += f" ({counts.found / total:.1%} have a vector in {self._file_name})"
        if self._inputs.tables_of_words:
            text += f", {counts.unknown / total:.1%} are read as the unknown word"
        return text


def _open(stored: dict[str, Any], given: Path | None) -> VectorIndex | None:
    name = stored["name"]
    if stored["file"] is None:
        return None
    file = VectorFile.of(stored["file"])
    if given is not None:
        return VectorIndex(given, file.sha256)
    folder = Path(os.environ.get("UNROLL_DATA") or "data") / "vectors"
    for path in (Path(file.path), folder / name):
        if path.is_file() and path.stat().st_size == file.num_bytes:
            return VectorIndex(path, file.sha256)
    print_note(
        f"note: the word vectors of training, {name}, are neither at {file.path} nor in {folder}: "
        "words that the model does not know are read as unknown; give the file with --vectors"
    )
    return None
