"""What the rest of the software asks of a language model's head, answered by n-gram tables."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.ngrams import NgramModel
from pipeline.text.vocabulary import Vocabulary

_TABLES = ("keys", "probs", "backoffs")


class NgramHead(nn.Module):
    """The distribution of an n-gram model over a vocabulary, given the words before.

    A state is a context: the last order-1 words, the last one last, with -1 before the beginning of
    their sentence. It takes the place of `OutputLayer` where a model is evaluated, generated from
    or mixed with others; there is nothing to train.

    The tables are no buffers: they stay in main memory and in float64, wherever and in whatever
    precision the rest of a model is, and whatever ddp does with buffers. They are in the state_dict
    all the same, and those that are loaded are taken as they are, without a copy, so that a
    checkpoint that is mapped from disk stays there.

    Args:
        vocabulary: the token types.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocab_size, self.eos_id = len(vocabulary), vocabulary.eos_id
        self._model: NgramModel | None = None
        # ddp refuses a module that has nothing to train.
        self._nothing = nn.Parameter(torch.zeros(()))

    @property
    def model(self) -> NgramModel:
        """The model.

        Raises:
            ValueError: there is none yet: it was neither estimated nor loaded.
        """
        if self._model is None:
            raise ValueError(
                "the n-gram model has no counts yet: estimate it with `unroll train`, or load a "
                "checkpoint"
            )
        return self._model

    @model.setter
    def model(self, model: NgramModel) -> None:
        assert (model.vocab_size, model.eos_id) == (self.vocab_size, self.eos_id)
        self._model = model

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores targets.

        Args:
            states: contexts, int64 [* order-1].
            targets: ids [*].

        Returns:
            The natural logarithm of each target's probability [*], float64; 0 where the target is
            `IGNORE_INDEX`.

        Raises:
            ValueError: the shapes do not fit each other or the model.
        """
        contexts = self._contexts(states)
        if states.shape[:-1] != targets.shape:
            raise ValueError(
                f"states {list(states.shape)} need targets {list(states.shape[:-1])}, "
                f"got {list(targets.shape)}"
            )
        is_real = targets != IGNORE_INDEX
        words = targets.where(is_real, 0).flatten().cpu().numpy()
        scored = torch.from_numpy(self.model.log_probs_after(contexts, words))
        return scored.to(targets.device).view(targets.shape).where(is_real, 0)

    def log_distribution(self, states: Tensor) -> Tensor:
        """Gives the logarithm of the probability of each token.

        Args:
            states: contexts, int64 [* order-1].

        Returns:
            Normalised, [* vocab], float64; -inf is a probability of 0.

        Raises:
            ValueError: the shape does not fit the model.
        """
        rows = self.model.distribution(self._contexts(states))
        logarithms = torch.from_numpy(rows).log_()
        return logarithms.to(states.device).view(*states.shape[:-1], self.vocab_size)

    def _contexts(self, states: Tensor) -> np.ndarray[Any, np.dtype[np.int64]]:
        width = self.model.order - 1
        if states.shape[-1] != width:
            raise ValueError(
                f"a model of order {width + 1} reads contexts of {width} words, got "
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
        *_: Any,  # noqa: ANN401 (what torch makes complaints of: nothing can be missing here)
    ) -> None:
        tables: dict[str, list[Any]] = {name: [] for name in _TABLES}
        for name, found in tables.items():
            while (table := state_dict.get(f"{prefix}{name}.{len(found)}")) is not None:
                found.append(table.detach().cpu().numpy())
        self._model = None
        if tables["probs"]:
            self._model = NgramModel(self.vocab_size, self.eos_id, *tables.values())
