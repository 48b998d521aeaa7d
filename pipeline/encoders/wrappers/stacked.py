"""Stacked encoders: each layer reads the states of the one below."""

import itertools
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from pipeline.encoders.base import Encoded, Encoder, RowLengths, Steps, check_inputs
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
            return self.initial_carry(inputs.shape[0])
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
