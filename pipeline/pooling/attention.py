"""Attention pooling."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.encoders import Encoder
from pipeline.pooling.base import Pooling, real_steps
from pipeline.transfers import without_padding


class Attention(Pooling):
    """Weighted mean with learned weights (Yang et al. 2016, "Hierarchical Attention Networks").

    The weight of step t is softmax_t(v . tanh(W h_t + b)): equations 5 to 7.

    Args:
        size: Number of features of W h + b.

    Raises:
        ValueError: If `size` is below 1.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> pooling = Attention(size=8)
        >>> pooling.fit(LSTM(3, 4))
        >>> pooling.weights(torch.zeros(1, 4, 4), torch.tensor([2]))[0].tolist()
        [0.5, 0.5, 0.0, 0.0]
    """

    def __init__(self, size: int = 100) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size of Attention must be at least 1, got {size}")
        self._size = size

    def fit(self, encoder: Encoder) -> None:
        """See `Pooling`."""
        self.output_size = encoder.output_size
        self.project = nn.Linear(encoder.output_size, self._size)
        self.score = nn.Linear(self._size, 1, bias=False)

    def weights(self, states: Tensor, lengths: Tensor) -> Float[Tensor, "batch time"]:
        """Returns the weights of the steps, which sum to 1 over each text; 0 at padded steps.

        Args:
            states: States of the encoder [batch time state].
            lengths: Number of real steps of each row, 0 allowed [batch].
        """
        is_padding = ~real_steps(states, lengths)
        return self._weights(without_padding(states, lengths), is_padding).squeeze(-1)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        is_padding = ~real_steps(states, lengths)
        states = without_padding(states, lengths)
        return (states * self._weights(states, is_padding)).sum(dim=1)

    def _weights(self, states: Tensor, is_padding: Tensor) -> Tensor:
        """Returns the weights [batch time 1] of states that are 0 at padded steps."""
        scores = self.score(torch.tanh(self.project(states)))
        # -inf would make the weights of a text without tokens nan.
        lowest = torch.finfo(scores.dtype).min
        weights: Tensor = scores.masked_fill(is_padding, lowest).softmax(dim=1)
        return weights.masked_fill(is_padding, 0.0)
