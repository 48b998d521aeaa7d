"""One direction of one layer whose memory is linear: all steps at once."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.encoders.base import Encoded, check_inputs
from pipeline.encoders.carry import Carry, fit_dtype
from pipeline.encoders.cells.linear import LinearCell
from pipeline.encoders.kernels.linear_scan import linear_scan
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.weights import RecurrentWeights, sigmoid_gates


class Scanned(RecurrentLayer):
    """A linear cell over a whole window by `linear_scan`, in float32 at least.

    There is no weight dropout, since there is no recurrent weight. The carry is the memory
    [batch hidden], and after it the last input [batch input] where a step reads two.

    Args:
        cell: gives the map of each step.
    """

    def __init__(self, cell: LinearCell) -> None:
        super().__init__(weight_dropout=0.0)
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.hidden_size
        self.num_parts, self.reads_carry = cell.window, cell.reads_memory

    @property
    def num_memories(self) -> int:
        """See `RecurrentLayer`."""
        return 1

    @property
    def weights(self) -> RecurrentWeights:
        """See `RecurrentLayer`; without a recurrent matrix."""
        return self.cell.weights

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; zeros."""
        zeros = self.cell.weight_ih.new_zeros
        return tuple(zeros(batch_size, size) for size in self._sizes)

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        start, *last = self._start(inputs, carry)
        read = inputs
        if last:
            before = torch.cat([last[0].to(inputs).unsqueeze(1), inputs[:, :-1]], dim=1)
            read = torch.cat([before, inputs], dim=-1)
        projected = self.cell.project(read)
        # In bfloat16 a decay of 0.999 would be 1.
        exact = projected.to(torch.promote_types(projected.dtype, torch.float32))
        gates = exact.chunk(len(self.cell.gates), dim=-1)
        decay, drive = self.cell.maps(gates)
        memory = linear_scan(decay, drive, start)
        states = self.cell.read(memory, gates, inputs).to(projected.dtype)
        # Copies: views would keep the whole window alive, and write it into checkpoints.
        ends = (memory[:, -1].clone(), *(inputs[:, -1].clone() for _ in last))
        return Encoded(states, ends)

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; those of `MinLSTMCell` before they are divided by their sum."""
        memory, *last = carry
        return sigmoid_gates(self.weights, torch.cat([*last, inputs], dim=-1), memory)

    @property
    def _sizes(self) -> list[int]:
        return [self.output_size] + [self.input_size] * (self.cell.window - 1)

    def _start(self, inputs: Tensor, carry: Carry | None) -> Carry:
        if carry is None or self.cell.window == 1:
            return super()._start(inputs, carry)
        check_inputs(self, inputs)
        expected = [[len(inputs), size] for size in self._sizes]
        shapes = [list(part.shape) if isinstance(part, Tensor) else type(part) for part in carry]
        if shapes != expected:
            raise ValueError(
                f"Scanned expects a carry of a memory and a last input, {expected}, got {shapes}; "
                f"a fresh one comes from initial_carry({len(inputs)})"
            )
        return fit_dtype("Scanned", carry, self._carry_dtype)

    @property
    def _carry_dtype(self) -> torch.dtype:
        return torch.promote_types(self.cell.weight_ih.dtype, torch.float32)  # as `linear_scan`
