"""ARPA files as trained language models, for scores and mixtures."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.encoders import Carry
from pipeline.heads.ngram import NgramHead
from pipeline.ngrams import NgramModel, read_arpa
from pipeline.text.vocabulary import Vocabulary


class ArpaLanguageModel(LightningModule):
    """A language model from an ARPA file, with the file's own vocabulary.

    Args:
        vocabulary: Vocabulary of the file.

    Example:
        >>> from pathlib import Path
        >>> load_arpa(Path("model.arpa")).model.vocabulary.words  # doctest: +SKIP
        ['<eos>', '<unk>', 'a', 'b']
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary, self.head = vocabulary, NgramHead(vocabulary)

    @property
    def ngrams(self) -> NgramModel:
        """The tables of the file."""
        return self.head.model

    def forward(self, tokens: Tensor, carry: Carry | None = None) -> tuple[Tensor, Carry]:
        """See `Generator`."""
        return self.head.contexts(tokens, carry)


def load_arpa(path: Path, vocabulary: Vocabulary | None = None) -> Trained:
    """Loads an ARPA file; raises `InputError` as `read_arpa`.

    Its words are split at white space. If one of them is a space, which files of character models
    call `<space>`, tokens are characters.
    """
    tables, vocabulary = read_arpa(path, vocabulary)
    model = ArpaLanguageModel(vocabulary)
    model.head.model = tables
    unit = "character" if " " in vocabulary else "word"
    data: dict[str, Any] = {"vocabulary": vocabulary.words, "counts": None, "unit": unit}
    return Trained(model.eval(), data, {}, str(path))
