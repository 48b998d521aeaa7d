"""A mean whose weights are learned."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.encoders import Encoder
from pipeline.pooling.base import Pooling, real_steps


class Attention(Pooling):
    """Averages the states by learned weights (Yang et al. 2016, "Hierarchical Attention Networks").

    The weights of a text's steps are softmax_t(v . tanh(W h_t + b)): equations 5 to 7.

    Args:
        size: features of W h + b.

    Raises:
        ValueError: `size` is below 1.
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
        """Gives the weights, which sum to 1 over a text; 0 after its end.

        Args:
            states: see `forward`.
            lengths: see `forward`.
        """
        is_real = real_steps(states, lengths)
        scores = self.score(torch.tanh(self.project(states.masked_fill(~is_real, 0.0))))
        # A text without tokens has no step to weigh; -inf alone would give it nan.
        lowest = torch.finfo(scores.dtype).min
        weights: Tensor = scores.masked_fill(~is_real, lowest).softmax(dim=1)
        return weights.masked_fill(~is_real, 0.0).squeeze(-1)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        weights = self.weights(states, lengths).unsqueeze(-1)
        return (states.masked_fill(~real_steps(states, lengths), 0.0) * weights).sum(dim=1)
