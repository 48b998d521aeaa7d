"""Words drawn at random, which sampled losses tell apart from the target."""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.heads.class_softmax.assign import word_counts
from pipeline.text.vocabulary import Vocabulary

# Whole numbers: a float buffer would be rounded where a model is cast to half precision.
_TOTAL = 2**60


class Noise(nn.Module):
    """Draws words by the power of their counts.

    Args:
        vocabulary: the token types; a word that never occurs counts as one that occurs once.
        power: of the counts: 1 draws as the text does, 0 each word alike.

    Raises:
        ValueError: `power` is below 0, **or** the vocabulary has no counts.

    Attributes:
        cumulative: the chance of each id and those before it, in parts of the last [vocab].
    """

    cumulative: Tensor

    def __init__(self, vocabulary: Vocabulary, power: float) -> None:
        super().__init__()
        if not power >= 0:
            raise ValueError(
                f"power, of the counts that noise is drawn by, is at least 0, got {power}"
            )
        counts = np.asarray(word_counts(vocabulary, "a sampled softmax"), dtype=np.float64)
        shares = np.maximum(counts, 1) ** power
        parts = np.maximum(np.rint(shares / shares.sum() * _TOTAL), 1).astype(np.int64)
        self.register_buffer("cumulative", torch.from_numpy(np.cumsum(parts)))

    def draw(self, num: int) -> Tensor:
        """Draws ids with replacement [num], from torch's generator."""
        high = int(self.cumulative[-1])
        drawn = torch.randint(high, (num,), device=self.cumulative.device)
        return torch.searchsorted(self.cumulative, drawn, right=True)

    def log_probs(self, ids: Tensor) -> Tensor:
        """Gives the logarithm of the chance of each id to be drawn, float64 [*]."""
        upper = self.cumulative[ids]
        lower = torch.where(ids > 0, self.cumulative[(ids - 1).clamp_min(0)], 0)
        return ((upper - lower).double() / self.cumulative[-1]).log()
