"""An n-gram model with the interface of a language model's output layer."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.encoders import Carry
from pipeline.heads.base import check_targets
from pipeline.ngrams import NgramModel
from pipeline.text.vocabulary import Vocabulary
from pipeline.transfers import to_device

_TABLES = ("keys", "probs", "backoffs")


class NgramHead(nn.Module):
    """Output layer of an n-gram model, for evaluation, generation and mixtures.

    A state is a context: the last order-1 words, oldest first, with -1 for positions before the
    beginning of the sentence. There is nothing to train.

    The tables are not buffers: they stay in main memory in float64, and moving the model, casting
    it or DDP does not change them. The state dict contains them. Loaded tables are used without a
    copy, so that the tables of a memory-mapped checkpoint stay on disk.

    Args:
        vocabulary: Vocabulary whose tokens are predicted.

    Example:
        >>> from pipeline.ngrams import MaximumLikelihood, count
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "a", "b"])
        >>> head = NgramHead(vocabulary)
        >>> counts = count(np.array([2, 3, 2, 0]), eos_id=0, vocab_size=4, order=2)  # "a b a"
        >>> head.model = MaximumLikelihood().estimate(counts).model
        >>> head.log_distribution(torch.tensor([2])).exp()  # "a" is followed by "b" or the end
        tensor([0.5000, 0.0000, 0.0000, 0.5000], dtype=torch.float64)
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocab_size, self.eos_id = len(vocabulary), vocabulary.eos_id
        self._model: NgramModel | None = None
        # DDP rejects a module without trainable parameters.
        self._nothing = nn.Parameter(torch.zeros(()))

    @property
    def num_values(self) -> int:
        """Number of probabilities and backoff weights; 0 before the model is estimated."""
        if self._model is None:
            return 0
        return sum(values.size for values in (*self._model.probs, *self._model.backoffs))

    @property
    def model(self) -> NgramModel:
        """The estimated or loaded n-gram model."""
        if self._model is None:
            raise ValueError(
                "the n-gram model has not been estimated; train it with `unroll train` or load a "
                "checkpoint"
            )
        return self._model

    @model.setter
    def model(self, model: NgramModel) -> None:
        assert (model.vocab_size, model.eos_id) == (self.vocab_size, self.eos_id)
        self._model = model

    def contexts(self, tokens: Tensor, carry: Carry | None = None) -> tuple[Tensor, Carry]:
        """Returns the context after each token, and the last ones as the carry.

        Tokens are int64 [batch time] and contexts int64 [batch time order-1]; a carry contains the
        contexts before the first tokens, int64 [batch order-1]. Without it a sentence begins.
        """
        width = self.model.order - 1
        past = carry[0] if carry else tokens.new_full((len(tokens), width), -1)
        joined = torch.cat([past, tokens], dim=1)
        contexts = joined.unfold(1, width, 1)[:, 1:] if width else joined.unsqueeze(-1)[..., :0]
        is_end = (contexts == self.eos_id).flip(-1)
        contexts = contexts.masked_fill(is_end.cumsum(-1).flip(-1) > 0, -1)
        return contexts, (contexts[:, -1],)

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Returns the log-probabilities of targets [*] after contexts, int64 [* order-1].

        They are natural logarithms, float64 [*], and 0 where the target is `IGNORE_INDEX`, on the
        device of the states. The model is looked up on the host, so this waits for a device.
        """
        contexts = self._contexts(states)
        check_targets(states, targets)
        targets = targets.cpu()
        is_real = targets != IGNORE_INDEX
        words = targets.where(is_real, 0).flatten().numpy()
        scored = torch.from_numpy(self.model.log_probs_after(contexts, words))
        return to_device(scored.view(targets.shape).where(is_real, 0), states.device)

    def log_distribution(self, states: Tensor) -> Tensor:
        """Returns the log-probability of every token after contexts, int64 [* order-1].

        It is normalized, float64 [* vocab], and -inf for a probability of 0.
        """
        rows = self.model.distribution(self._contexts(states))
        logarithms = torch.from_numpy(rows).log_()
        return logarithms.to(states.device).view(*states.shape[:-1], self.vocab_size)

    def _contexts(self, states: Tensor) -> np.ndarray[Any, np.dtype[np.int64]]:
        width = self.model.order - 1
        if states.shape[-1] != width:
            raise ValueError(
                f"a model of order {width + 1} expects contexts of {width} words, got "
                f"{states.shape[-1]}"
            )
        contexts = states.cpu().numpy().reshape(math.prod(states.shape[:-1]), width)
        return contexts.astype(np.int64, copy=False)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        if self._model is not None:
            for name in _TABLES:
                for index, table in enumerate(getattr(self._model, name)):
                    destination[f"{prefix}{name}.{index}"] = torch.from_numpy(table)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        *_: Any,  # noqa: ANN401 (torch's lists for error reports: no key can be missing here)
    ) -> None:
        tables: dict[str, list[Any]] = {name: [] for name in _TABLES}
        for name, found in tables.items():
            while (table := state_dict.get(f"{prefix}{name}.{len(found)}")) is not None:
                found.append(table.detach().cpu().numpy())
        self._model = None
        if tables["probs"]:
            model = NgramModel(self.vocab_size, self.eos_id, *tables.values())
            model.check()
            self._model = model
