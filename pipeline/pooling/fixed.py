"""Poolings without parameters: last state, mean, elementwise maximum."""

import torch
from torch import Tensor

from pipeline.encoders import Encoder
from pipeline.pooling.base import Pooling, real_steps
from pipeline.transfers import to_device, without_padding


class Last(Pooling):
    """Returns the state after the whole text.

    For a causal encoder this is the last state; for a bidirectional one the forward half of the
    last state and the backward half of the first one, both of which depend on the whole text.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> pooling = Last()
        >>> pooling.fit(LSTM(3, 1))
        >>> pooling(torch.tensor([[[5.0], [6.0], [7.0]]]), torch.tensor([2]))
        tensor([[6.]])
    """

    def fit(self, encoder: Encoder) -> None:
        """See `Pooling`.

        Raises:
            ValueError: If no state of the encoder depends on the whole text.
        """
        if encoder.is_local:
            raise ValueError(
                "Last needs an encoder whose last state depends on the whole text, but a state of "
                f"{type(encoder).__name__} depends on a few words; use Mean or Max "
                "(--model.pooling=Mean), or an encoder such as LSTM"
            )
        self.output_size = encoder.output_size
        self._is_causal = encoder.is_causal

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        states = without_padding(states, lengths)
        ends = to_device((lengths - 1).clamp(min=0), states.device).view(-1, 1, 1)
        last = states.gather(1, ends.expand(-1, 1, states.shape[-1])).squeeze(1)
        if self._is_causal:
            return last
        half = self.output_size // 2
        return torch.cat((last[:, :half], states[:, 0, half:]), dim=-1)


class Mean(Pooling):
    """Mean of the states; with `Identity` the deep averaging network (Iyyer et al. 2015).

    Example:
        >>> from pipeline.encoders import Identity
        >>> pooling = Mean()
        >>> pooling.fit(Identity(1))
        >>> pooling(torch.tensor([[[5.0], [6.0], [7.0]]]), torch.tensor([2]))
        tensor([[5.5000]])
    """

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        total = without_padding(states, lengths).sum(dim=1)
        return total / to_device(lengths.clamp(min=1), states.device).unsqueeze(-1)


class Max(Pooling):
    """Elementwise maximum of the states.

    Example:
        >>> from pipeline.encoders import Identity
        >>> pooling = Max()
        >>> pooling.fit(Identity(1))
        >>> pooling(torch.tensor([[[5.0], [6.0], [7.0]]]), torch.tensor([2]))
        tensor([[6.]])
    """

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Pooling`."""
        highest = states.masked_fill(~real_steps(states, lengths), -torch.inf).amax(dim=1)
        return highest.masked_fill(to_device(lengths == 0, states.device).unsqueeze(-1), 0.0)


class MeanMax(Pooling):
    """Concatenation of the mean and the elementwise maximum of the states.

    Example:
        >>> from pipeline.encoders import Identity
        >>> pooling = MeanMax()
        >>> pooling.fit(Identity(1))
        >>> pooling(torch.tensor([[[5.0], [6.0], [7.0]]]), torch.tensor([2]))
        tensor([[5.5000, 6.0000]])
    """

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
