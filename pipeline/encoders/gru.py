"""A GRU on a CPU by `gru_steps`, and when that is faster than torch's kernel."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import Encoded, all_full, check_lengths
from pipeline.encoders.kernels.gru_steps import gru_steps
from pipeline.encoders.layers.weights import RecurrentWeights

# Training by `gru_steps` takes 1.4 times torch's time at one step, as long at five, and 0.9 of it
# at 35 (20 x 200 and 20 x 650 numbers, float32, one thread, processor time). Without a gradient it
# takes 1.03 to 1.09 times torch's time of full rows, and 0.83 to 0.99 where a quarter is padding.
_ENOUGH_STEPS = 6
_MUCH_PADDING = 0.25


def steps_pay(inputs: Tensor, lengths: Tensor | None) -> bool:
    """Whether `encode_gru` is possible, and faster than torch's kernel.

    Under autocast torch multiplies in bfloat16, which takes less time than is saved here.
    """
    if (
        inputs.device.type != "cpu"
        or torch.is_autocast_enabled("cpu")
        or inputs.dtype not in (torch.float32, torch.float64)
        or inputs.shape[1] < _ENOUGH_STEPS
    ):
        return False
    if torch.is_grad_enabled() or lengths is None:
        return torch.is_grad_enabled()
    return int(lengths.sum()) < (1 - _MUCH_PADDING) * inputs.shape[0] * inputs.shape[1]


def encode_gru(
    inputs: Tensor, lengths: Tensor | None, start: Tensor, weights: RecurrentWeights
) -> Encoded:
    """Encodes right-padded sequences, and computes no padding.

    Args:
        inputs: [batch time input].
        lengths: [batch]; every step is real if omitted.
        start: the state before the first step, [batch hidden].
        weights: of a GRU with the reset gate after the product.

    Returns:
        The states, 0 at padded steps, and as the carry the state after each row's last real step.

    Raises:
        ValueError: see `check_lengths`.
    """
    check_lengths(inputs, lengths)
    assert weights.recurrent is not None
    assert weights.recurrent_bias is not None
    recurrent = (weights.recurrent, weights.recurrent_bias)
    batch, time, _ = inputs.shape
    if lengths is None or all_full(inputs, lengths):
        projected = F.linear(inputs.transpose(0, 1), weights.input, weights.input_bias)
        states, final = gru_steps(projected.flatten(0, 1), [batch] * time, start, *recurrent)
        # A copy, since who changes it in place would change what the gradient needs.
        states = states.view(time, *start.shape).transpose(0, 1)
        return Encoded(states.clone(memory_format=torch.contiguous_format), (final,))
    order = _order(lengths, time)
    real = inputs.flatten(0, 1).index_select(0, order.steps)
    projected = F.linear(real, weights.input, weights.input_bias)
    start = start.index_select(0, order.rows)
    states, final = gru_steps(projected, order.counts, start, *recurrent)
    padded = states.new_zeros(batch * time, states.shape[1]).index_copy(0, order.steps, states)
    return Encoded(
        padded.view(batch, time, states.shape[1]), (final.index_select(0, order.rows.argsort()),)
    )


class _Order(NamedTuple):
    """How rows of unequal lengths are laid out for `gru_steps`.

    Attributes:
        rows: from the longest to the shortest, [batch].
        counts: how many of them run at each step that any has.
        steps: which real step of [batch*time] stands at each place.
    """

    rows: Tensor
    counts: list[int]
    steps: Tensor


def _order(lengths: Tensor, time: int) -> _Order:
    descending, rows = lengths.sort(descending=True, stable=True)
    columns = torch.arange(time).unsqueeze(1)
    running = descending > columns
    counts = running.sum(1)
    return _Order(rows, counts[counts > 0].tolist(), (rows * time + columns)[running])
