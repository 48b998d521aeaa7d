"""Looks up words that a trained model has not seen in the file of its pretrained vectors."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.text.lexicon import VectorFile
from pipeline.text.vector_index import VectorIndex


class UnseenWords:
    """Gives a trained model the pretrained vectors of words that its corpus does not contain.

    In training, words of the validation and test text have their pretrained vectors, too, so a
    sentence gets the same tags whether it is in the test split or is read later. The file must have
    the size and digest that it had in training. Without it, a note is printed, and words that are
    not in the corpus are read as unknown.

    Args:
        trained: Trained model with input parts.
        given: File of vectors; by default that of training, at its path then or in
            `$UNROLL_DATA/vectors`.

    Attributes:
        file_name: Name of the file; None if the model uses none, or it is missing.

    Raises:
        InputError: If the file has changed since training, or is given for a model without
            pretrained vectors.
    """

    def __init__(self, trained: Trained, given: Path | None = None) -> None:
        self._inputs: Any = cast(Any, trained.model).inputs
        lexicon = trained.data["lexicon"]
        self._known = set(lexicon["words"])
        self._index: VectorIndex | None = None
        if any(part.looks_up for part in self._inputs.tables_of_words):
            self._index = _open(lexicon["vectors"], given)
        elif given is not None:
            raise InputError(
                f"--vectors {given}: the model reads no pretrained word vectors; leave it out"
            )
        self.file_name = None if self._index is None else Path(self._index.file.path).name

    def look_up(self, words: Sequence[str]) -> Tensor:
        """Adds the vectors of words to the model, in place of those added before.

        Returns whether the vector of each word is from the file, bool [words].
        """
        unseen = sorted({word for word in words if word not in self._known})
        if self._index is None:
            return torch.zeros(len(words), dtype=torch.bool)
        found = self._index.find(unseen)
        self._inputs.look_up(lambda asked: {w: found[w] for w in asked if w in found}, unseen)
        return torch.tensor([word in found for word in words], dtype=torch.bool)


def _open(stored: dict[str, Any], given: Path | None) -> VectorIndex | None:
    name = stored["name"]
    if stored["file"] is None:
        return None
    file = VectorFile(*stored["file"])
    if given is not None:
        return _checked(given, file)
    folder = Path(os.environ.get("UNROLL_DATA") or "data") / "vectors"
    for path in (Path(file.path), folder / name):
        if path.is_file() and path.stat().st_size == file.num_bytes:
            return _checked(path, file)
    print_note(
        f"note: the word vectors of training, {name}, are neither at {file.path} nor in {folder}: "
        "words that the model does not know are read as unknown; give the file with --vectors"
    )
    return None


def _checked(path: Path, file: VectorFile) -> VectorIndex:
    index = VectorIndex(path)
    if index.file.sha256 != file.sha256:
        raise InputError(
            f"{path} is not the file of word vectors of the training (its SHA-256 is "
            f"{index.file.sha256[:12]}..., that of the training {file.sha256[:12]}...); give the "
            "original file with --vectors"
        )
    return index
