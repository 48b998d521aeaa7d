"""Language models over another vocabulary than their own."""

import math

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.contracts import Generator, Head
from pipeline.encoders import Carry
from pipeline.text.vocabulary import UNK, Vocabulary
from pipeline.transfers import to_device

_ROWS = 64  # distributions over a whole vocabulary that are in RAM at the same time


class Translation:
    """The words of one vocabulary in terms of another one, that of a model.

    Words that the model does not have are its `<unk>`, as context and as targets. Its probability
    of `<unk>` is shared equally among these words and `<unk>` itself. The `<unk>` of the vocabulary
    also stands for the words that only the model has, so it has their probabilities in addition.
    Thus probabilities sum to 1 over the vocabulary, whatever words the two have in common.

    Args:
        own: Vocabulary of the model.
        vocabulary: Vocabulary to translate from.

    Attributes:
        ids: For each word of the vocabulary the id of the model, int64 [vocab].
        is_shared: Whether a word is the model's `<unk>`, bool [vocab].
        others: Ids of the words that only the model has, int64 [word].

    Example:
        >>> own = Vocabulary(["<unk>", "<eos>", "dog", "bird"])
        >>> translation = Translation(own, Vocabulary(["<eos>", "<unk>", "cat", "dog"]))
        >>> translation.ids.tolist(), translation.others.tolist()
        ([1, 0, 0, 2], [3])
    """

    def __init__(self, own: Vocabulary, vocabulary: Vocabulary) -> None:
        self.ids = torch.tensor(own.encode(vocabulary.words))
        self.is_shared = self.ids == own.unk_id
        only_own = [word for word in own.words if word not in vocabulary]
        self.others = torch.tensor(own.encode(only_own), dtype=torch.long)
        self.unk_id = vocabulary.unk_id

    @property
    def num_unknown(self) -> int:
        """Number of words of the vocabulary, besides `<unk>`, that the model does not have."""
        return int(self.is_shared.sum()) - 1

    def tokens(self, tokens: Tensor) -> Tensor:
        """Translates ids of any shape; `IGNORE_INDEX` stays."""
        is_real = tokens != IGNORE_INDEX
        translated = to_device(self.ids, tokens.device)[tokens.where(is_real, 0)]
        return translated.where(is_real, IGNORE_INDEX)


class TranslatedHead:
    """The head of a model, over another vocabulary.

    Args:
        head: Head of the model.
        translation: The translation into the vocabulary of the model.
    """

    def __init__(self, head: Head, translation: Translation) -> None:
        self._head, self._words = head, translation

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `Head`; float64."""
        words = self._words
        found = self._head.log_probs(states, words.tokens(targets)).double()
        targets = to_device(targets, found.device)
        is_real = targets != IGNORE_INDEX
        is_shared = to_device(words.is_shared, found.device)[targets.where(is_real, 0)] & is_real
        found = found - is_shared * math.log(words.num_unknown + 1)
        rows = torch.nonzero(targets.flatten() == words.unk_id).squeeze(1)
        if not (len(words.others) and len(rows)):
            return found
        flat, states = found.flatten(), states.flatten(0, -2)
        for part in torch.split(rows, _ROWS):
            flat[part] = torch.logaddexp(flat[part], self._others(states[part]))
        return flat.view_as(found)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `Head`; float64."""
        words, own = self._words, self._head.log_distribution(states).double()
        found = own[..., to_device(words.ids, own.device)]
        is_shared = to_device(words.is_shared, own.device)
        found = found - is_shared * math.log(words.num_unknown + 1)
        if len(words.others):
            others = own[..., to_device(words.others, own.device)].logsumexp(dim=-1)
            found[..., words.unk_id] = torch.logaddexp(found[..., words.unk_id], others)
        return found

    def _others(self, states: Tensor) -> Tensor:
        own = self._head.log_distribution(states).double()
        return own[..., to_device(self._words.others, own.device)].logsumexp(dim=-1)


class TranslatedModel:
    """A language model over another vocabulary, as `pipeline.contracts.Generator` describes.

    Args:
        model: The model; it is not copied.
        vocabulary: The vocabulary.
    """

    def __init__(self, model: Generator, vocabulary: Vocabulary) -> None:
        self._model, self.vocabulary = model, vocabulary
        self._words = Translation(model.vocabulary, vocabulary)
        self.head: Head = TranslatedHead(model.head, self._words)

    def __call__(self, tokens: Tensor, carry: Carry | None) -> tuple[Tensor, Carry]:
        """See `Generator`."""
        return self._model(self._words.tokens(tokens), carry)

    @property
    def note(self) -> str:
        """Note on words that only one of the two vocabularies has; "" if there are none."""
        if not (len(self._words.others) or self._words.num_unknown):
            return ""
        return (
            f"{len(self._words.others):,} words of it count as {UNK}, and "
            f"{self._words.num_unknown:,} words of the corpus are unknown to it"
        )
