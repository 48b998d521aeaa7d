"""GRU layers: torch's kernel on a GPU, our own steps on a CPU."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import Encoded, all_full, check_lengths
from pipeline.encoders.carry import Carry
from pipeline.encoders.cells import GRUCell, Reset
from pipeline.encoders.gru_steps import gru_steps
from pipeline.encoders.hooks import is_hooked
from pipeline.encoders.leaves import Fused, Leaf, Unrolled, check_sizes

# A training step by `gru_steps` takes 1.4 times torch's time at one step, as long at three, and 0.9
# at 35 (20 x 200 and 20 x 650 numbers, float32, one thread, processor time).
_ENOUGH_STEPS = 4


class FusedGRU(Fused):
    """A GRU with the reset gate after the product; the parameters are those of `nn.GRU`.

    On a CPU it runs `gru_steps`, which computes no padding, where that is faster; the carry is then
    the state after the last real step of each row.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
        weight_dropout: see `Leaf`.

    Raises:
        ValueError: `weight_dropout` is not in [0, 1).
    """

    def __init__(self, input_size: int, hidden_size: int, weight_dropout: float = 0.0) -> None:
        super().__init__(nn.GRU(input_size, hidden_size, batch_first=True), weight_dropout)

    def calls_torch(self, inputs: Tensor, lengths: Tensor | None) -> bool:
        """See `Fused`."""
        if (
            inputs.device.type != "cpu"
            or torch.is_autocast_enabled("cpu")
            or inputs.dtype not in (torch.float32, torch.float64)
            or is_hooked(self.kernel)
            or inputs.shape[1] < _ENOUGH_STEPS
        ):
            return True
        # Without a gradient there is no graph to save.
        return all_full(inputs, lengths) and not torch.is_grad_enabled()

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`."""
        (start,) = self._start(inputs, carry)
        check_lengths(inputs, lengths)
        if self.calls_torch(inputs, lengths):
            return super().forward(inputs, lengths, carry)
        ((matrix, kept, bias, recurrent_bias),) = self.kernel.all_weights
        recurrent = self._dropped() if self.drops_weights else kept
        batch, time, _ = inputs.shape
        if lengths is None or all_full(inputs, lengths):
            projected = F.linear(inputs.transpose(0, 1), matrix, bias).flatten(0, 1)
            counts = [batch] * time
            states, final = gru_steps(projected, counts, start, recurrent, recurrent_bias)
            return Encoded(states.view(time, batch, -1).transpose(0, 1), (final,))
        order = _order(lengths, time)
        real = inputs.flatten(0, 1).index_select(0, order.steps)
        projected = F.linear(real, matrix, bias)
        start = start.index_select(0, order.rows)
        states, final = gru_steps(projected, order.counts, start, recurrent, recurrent_bias)
        padded = states.new_zeros(batch * time, self.output_size)
        padded = padded.index_copy(0, order.steps, states).view(batch, time, -1)
        return Encoded(padded, (final.index_select(0, order.rows.argsort()),))


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
    """The layout of rows of these lengths, on a CPU."""
    descending, rows = lengths.sort(descending=True, stable=True)
    running = descending > torch.arange(time).unsqueeze(1)
    places = rows * time + torch.arange(time).unsqueeze(1)
    counts = running.sum(1)
    return _Order(rows, counts[counts > 0].tolist(), places[running])


def gru_leaf(input_size: int, hidden_size: int, reset: Reset, weight_dropout: float) -> Leaf:
    """A GRU layer: a kernel for reset after the product, a loop for reset before it."""
    check_sizes(input_size, hidden_size)
    if reset == "after":
        return FusedGRU(input_size, hidden_size, weight_dropout)
    return Unrolled(GRUCell(input_size, hidden_size, reset), weight_dropout)
