"""Poolings without parameters: the last state, the mean, the element-wise maximum."""

import torch
from torch import Tensor

from pipeline.encoders import Encoder
from pipeline.pooling.base import Pooling, real_steps


class Last(Pooling):
    """Takes what the encoder has read the whole text into: the acceptor of the lectures.

    Of a causal encoder that is the last state; of a bidirectional one the forward half of the last
    state and the backward half of the first one, each of which has read everything.
    """

    def fit(self, encoder: Encoder) -> None:
        """See `Pooling`.

        Raises:
            ValueError: no state has read the whole text.
        """
        if encoder.is_local:
            raise ValueError(
                "Last needs an encoder that has read the whole text, and a state of "
                f"{type(encoder).__name__} has read a few words; take Mean or Max "
                "(--model.pooling=Mean), or an encoder such as LSTM"
            )
        self.output_size = encoder.output_size
        self._is_causal = encoder.is_causal

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        states = states.masked_fill(~real_steps(states, lengths), 0.0)
        ends = (lengths.to(states.device) - 1).clamp(min=0)
        last = states[torch.arange(len(states), device=states.device), ends]
        if self._is_causal:
            return last
        half = self.output_size // 2
        return torch.cat((last[:, :half], states[:, 0, half:]), dim=-1)


class Mean(Pooling):
    """Averages the states (with `Identity`, the deep averaging network: Iyyer et al. 2015)."""

    def fit(self, encoder: Encoder) -> None:
        """See `Pooling`."""
        self.output_size = encoder.output_size

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        total = states.masked_fill(~real_steps(states, lengths), 0.0).sum(dim=1)
        return total / lengths.to(states.device).clamp(min=1).unsqueeze(-1)


class Max(Pooling):
    """Takes the element-wise maximum of the states."""

    def fit(self, encoder: Encoder) -> None:
        """See `Pooling`."""
        self.output_size = encoder.output_size

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        highest = states.masked_fill(~real_steps(states, lengths), -torch.inf).amax(dim=1)
        return highest.masked_fill(lengths.to(states.device).unsqueeze(-1) == 0, 0.0)


class MeanMax(Pooling):
    """Sets the mean and the element-wise maximum side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._mean, self._max = Mean(), Max()

    def fit(self, encoder: Encoder) -> None:
        """See `Pooling`."""
        self._mean.fit(encoder)
        self._max.fit(encoder)
        self.output_size = 2 * encoder.output_size

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        return torch.cat((self._mean(states, lengths), self._max(states, lengths)), dim=-1)
