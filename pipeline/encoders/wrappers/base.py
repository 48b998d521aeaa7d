"""The base of encoders around one other encoder, and layer normalization."""

import abc

from torch import Tensor, nn

from pipeline.encoders.base import Encoded, Encoder, RowLengths, Steps, check_inputs
from pipeline.encoders.carry import Carry


class EncoderWrapper(Encoder, abc.ABC):
    """Base class of encoders that change the inputs or states of another one at each step alone.

    Args:
        inner: The wrapped encoder.
        output_size: Number of features of each state; that of `inner` if omitted.
    """

    @abc.abstractmethod
    def __init__(self, inner: Encoder, output_size: int | None = None) -> None:
        super().__init__()
        self.inner = inner
        self.input_size = inner.input_size
        self.output_size = inner.output_size if output_size is None else output_size
        self.is_causal = inner.is_causal
        self.is_local = inner.is_local

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        states, after = self.inner(self._read(inputs), lengths, carry)
        return Encoded(self._join(inputs, states), after)

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        return self.inner.initial_carry(batch_size)

    def _read(self, inputs: Tensor) -> Tensor:
        """Returns the inputs of the wrapped encoder, from [batch time input]."""
        return inputs

    def _join(self, inputs: Tensor, states: Tensor) -> Tensor:
        """Returns states [batch time output_size] from inputs and states of the wrapped encoder."""
        return states


class Normalized(EncoderWrapper):
    """Layer normalization of the inputs of an encoder, at each step, with learned gain and bias.

    Ba et al. (2016, arXiv 1607.06450, section 3.1).

    Args:
        inner: Encoder of the normalized inputs.

    Raises:
        ValueError: If `inner` reads a single feature, which would always become 0.

    Example:
        >>> import torch
        >>> from pipeline.encoders import Identity
        >>> Normalized(Identity(2))(torch.tensor([[[3.0, 5.0]]])).states.detach().round()
        tensor([[[-1.,  1.]]])
    """

    def __init__(self, inner: Encoder) -> None:
        if inner.input_size < 2:
            raise ValueError(
                "Normalized needs an encoder with an input_size of at least 2, because one feature "
                f"equals its mean and would become 0, got input_size {inner.input_size}"
            )
        super().__init__(inner)
        self.norm = nn.LayerNorm(inner.input_size)

    def _read(self, inputs: Tensor) -> Tensor:
        read: Tensor = self.norm(inputs)
        return read
