"""Encoders that consist of other encoders."""

import abc
import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pipeline.encoders.base import Encoded, Encoder, RowLengths, Steps, check_inputs, check_lengths
from pipeline.encoders.carry import Carry


class Stacked(Encoder):
    """A stack of encoders, each of which reads the states of the one below.

    It is causal if all layers are. The carry is a tuple of the layers' carries, the lowest first.

    Args:
        layers: Encoders from the lowest up, at least one.

    Raises:
        ValueError: If there is none, or the size of a layer does not fit the one below.

    Example:
        >>> from pipeline.encoders import GRU, LSTM
        >>> Stacked([LSTM(3, 8), GRU(8, 4)]).output_size
        4
    """

    def __init__(self, layers: Sequence[Encoder]) -> None:
        super().__init__()
        if not layers:
            raise ValueError("Stacked needs at least one layer, got none")
        for index, (below, above) in enumerate(itertools.pairwise(layers)):
            if below.output_size != above.input_size:
                raise ValueError(
                    f"layer {index + 1} of Stacked has input_size {above.input_size}, but layer "
                    f"{index} below it has output_size {below.output_size}"
                )
        self.layers = nn.ModuleList(layers)
        self.input_size, self.output_size = layers[0].input_size, layers[-1].output_size
        self.is_causal = all(layer.is_causal for layer in layers)
        self.is_local = all(layer.is_local for layer in layers)

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        states, carries = inputs, []
        for layer, part in zip(self.layers, self.parts(inputs, carry), strict=True):
            states, after = layer(states, lengths, part)
            carries.append(after)
        return Encoded(states, tuple(carries))

    def parts(self, inputs: Tensor, carry: Carry | None) -> Carry:
        """Returns the carry of each layer, or raises a ValueError if their number is wrong."""
        if carry is None:
            return self.initial_carry(len(inputs))
        if len(carry) != len(self.layers):
            raise ValueError(
                f"Stacked expects a carry of {len(self.layers)} parts, one for each layer, "
                f"got {len(carry)}"
            )
        return carry

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        layers = cast("Sequence[Encoder]", self.layers)
        return tuple(layer.initial_carry(batch_size) for layer in layers)


class Bidirectional(Encoder):
    """Two encoders that read a row in opposite directions (Schuster and Paliwal 1997).

    The states of both are concatenated, forward first. The carry is that of the forward encoder
    only: later inputs are unknown, so the backward encoder starts each call from its initial carry,
    at the last real step of each row.

    Args:
        forward: Causal encoder that reads from left to right.
        backward: Causal encoder that reads from right to left.

    Raises:
        ValueError: If an encoder is not causal, or their input sizes differ.

    Example:
        >>> from pipeline.encoders import GRU, LSTM
        >>> encoder = Bidirectional(LSTM(3, 4), GRU(3, 5))
        >>> encoder.output_size, encoder.is_causal
        (9, False)
    """

    is_causal = False

    def __init__(self, forward: Encoder, backward: Encoder) -> None:
        super().__init__()
        if forward.input_size != backward.input_size:
            raise ValueError(
                f"Bidirectional needs two encoders of one input_size, got {forward.input_size} "
                f"and {backward.input_size}"
            )
        for name, part in (("forward", forward), ("backward", backward)):
            if not part.is_causal:
                raise ValueError(f"Bidirectional needs causal encoders, but {name} is not: {part}")
        self.left_to_right, self.right_to_left = forward, backward
        self.input_size = forward.input_size
        self.is_local = forward.is_local and backward.is_local
        self.output_size = forward.output_size + backward.output_size

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        check_lengths(inputs, lengths)
        states, after = self.left_to_right(inputs, lengths, carry)
        sources = _mirror(inputs, lengths)
        mirrored = self.right_to_left(_reorder(inputs, sources), lengths).states
        return Encoded(torch.cat([states, _reorder(mirrored, sources)], dim=-1), after)

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        return self.left_to_right.initial_carry(batch_size)


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


def _mirror(inputs: Tensor, lengths: Tensor | None) -> Tensor | None:
    """Returns the source index of each step [batch*time] of the reversed rows; None if all full."""
    if lengths is None:
        return None
    batch, time, _ = inputs.shape
    steps = torch.arange(time, device=inputs.device)
    ends = lengths.to(inputs.device).unsqueeze(1)
    sources = torch.where(steps < ends, ends - 1 - steps, steps)
    rows = torch.arange(batch, device=inputs.device).unsqueeze(1) * time
    return (rows + sources).flatten()


def _reorder(inputs: Tensor, sources: Tensor | None) -> Tensor:
    if sources is None:
        return inputs.flip(1)
    # Indexes steps; `gather` would need an index for every element.
    return inputs.flatten(0, 1).index_select(0, sources).view_as(inputs)
