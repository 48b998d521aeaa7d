"""Rows of different lengths, computed step by step without their padding."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import Encoded, all_full, check_lengths
from pipeline.encoders.layers.weights import RecurrentWeights

RunSteps: TypeAlias = Callable[[Tensor, list[int], Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Runs a recurrence over (projected, counts, start, matrix, bias), as `gru_steps`."""


class RowOrder(NamedTuple):
    """The layout of rows of different lengths: all real first steps, all second ones and so on.

    Attributes:
        rows: Row indices from the longest to the shortest, int64 [batch].
        counts: Number of rows that have not ended, at each step.
        steps: Index into [batch*time] of each real step, in the order of the layout, int64 [steps].
    """

    rows: Tensor
    counts: list[int]
    steps: Tensor


def row_order(lengths: Tensor, time: int) -> RowOrder:
    """Returns the layout of right-padded rows [batch time] of given lengths [batch]."""
    descending, rows = lengths.sort(descending=True, stable=True)
    columns = torch.arange(time).unsqueeze(1)
    running = descending > columns
    counts = running.sum(1)
    return RowOrder(rows, counts[counts > 0].tolist(), (rows * time + columns)[running])


def encode_rows(
    inputs: Tensor,
    lengths: Tensor | None,
    start: Tensor,
    weights: RecurrentWeights,
    run_steps: RunSteps,
) -> Encoded:
    """Encodes right-padded sequences [batch time input] without computing the padding.

    `start` is the state [batch hidden] before the first step. States are 0 at padded steps; the
    carry is the state after each row's last real step.
    """
    check_lengths(inputs, lengths)
    assert weights.recurrent is not None
    assert weights.recurrent_bias is not None
    recurrent = (weights.recurrent, weights.recurrent_bias)
    batch, time, _ = inputs.shape
    if lengths is None or all_full(inputs, lengths):
        projected = F.linear(inputs.transpose(0, 1), weights.input, weights.input_bias)
        states, final = run_steps(projected.flatten(0, 1), [batch] * time, start, *recurrent)
        # A copy, so that changes in place cannot corrupt the tensors saved for the gradient.
        states = states.view(time, *start.shape).transpose(0, 1)
        return Encoded(states.clone(memory_format=torch.contiguous_format), (final,))
    order = row_order(lengths, time)
    real = inputs.flatten(0, 1).index_select(0, order.steps)
    projected = F.linear(real, weights.input, weights.input_bias)
    start = start.index_select(0, order.rows)
    states, final = run_steps(projected, order.counts, start, *recurrent)
    padded = states.new_zeros(batch * time, states.shape[1]).index_copy(0, order.steps, states)
    return Encoded(
        padded.view(batch, time, states.shape[1]), (final.index_select(0, order.rows.argsort()),)
    )


def states_before(states: Tensor, start: Tensor, counts: list[int]) -> Tensor:
    """Returns the state before each step [steps hidden], in the order of `states`."""
    pieces = zip((start, *torch.split(states, counts)), counts, strict=False)
    return torch.cat([start[:0], *(piece[:count] for piece, count in pieces)])
