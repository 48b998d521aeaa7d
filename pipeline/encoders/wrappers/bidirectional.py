"""Bidirectional encoders: rows are reversed by their lengths, never packed."""

import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, RowLengths, Steps, check_inputs, check_lengths
from pipeline.encoders.carry import Carry


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


def _mirror(inputs: Tensor, lengths: Tensor | None) -> Tensor | None:
    """Returns the source index of each step [batch*time] of the reversed rows; None if all full."""
    if lengths is None:
        return None
    batch, time, _ = inputs.shape
    steps = torch.arange(time, device=inputs.device)
    ends = lengths.to(inputs.device, non_blocking=True).unsqueeze(1)
    sources = torch.where(steps < ends, ends - 1 - steps, steps)
    rows = torch.arange(batch, device=inputs.device).unsqueeze(1) * time
    return (rows + sources).flatten()


def _reorder(inputs: Tensor, sources: Tensor | None) -> Tensor:
    if sources is None:
        return inputs.flip(1)
    # Indexes steps; `gather` would need an index for every element.
    return inputs.flatten(0, 1).index_select(0, sources).view_as(inputs)
