"""The noise distribution from which sampled losses draw words."""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.heads.base import on_device
from pipeline.heads.class_softmax.assign import word_counts
from pipeline.text.vocabulary import Vocabulary

# Integers, because casting a model to half precision would round a float buffer.
_TOTAL = 2**60


class Noise(nn.Module):
    """A distribution over words, proportional to a power of their counts.

    A power of 1 is the distribution of the text, 0 is uniform. A count of 0 is replaced by 1.
    """

    cumulative: Tensor  # cumulative probabilities times the last entry, int64 [vocab]

    def __init__(self, vocabulary: Vocabulary, power: float) -> None:
        super().__init__()
        if not power >= 0:
            raise ValueError(f"power, the exponent of the counts, must be at least 0, got {power}")
        counts = np.asarray(word_counts(vocabulary, "a sampled softmax"), dtype=np.float64)
        shares = np.maximum(counts, 1) ** power
        parts = np.maximum(np.rint(shares / shares.sum() * _TOTAL), 1).astype(np.int64)
        self.register_buffer("cumulative", torch.from_numpy(np.cumsum(parts)))
        self._total = int(parts.sum())  # kept, since reading the buffer would wait for a device
        self._table: Tensor | None = None  # log-probabilities of all words, on a device
        self.register_load_state_dict_post_hook(_read_total)  # type: ignore[no-untyped-call]

    def draw(self, num: int) -> Tensor:
        """Draws ids with replacement from torch's generator, [num]."""
        drawn = torch.randint(self._total, (num,), device=self.cumulative.device)
        return torch.searchsorted(self.cumulative, drawn, right=True)

    def log_probs(self, ids: Tensor) -> Tensor:
        """Returns the log-probability of drawing each id, float64 [*]."""
        if not on_device(ids):
            return self._log_probs(ids)
        if self._table is None or self._table.device != ids.device:
            with torch.inference_mode(False):  # else training could not use it
                words = torch.arange(len(self.cumulative), device=ids.device)
                self._table = self._log_probs(words)
        return self._table[ids]

    def _log_probs(self, ids: Tensor) -> Tensor:
        upper = self.cumulative[ids]
        lower = torch.where(ids > 0, self.cumulative[(ids - 1).clamp_min(0)], 0)
        return ((upper - lower).double() / self.cumulative[-1]).log()


def _read_total(noise: Noise, _: object) -> None:
    noise._total, noise._table = int(noise.cumulative[-1]), None
