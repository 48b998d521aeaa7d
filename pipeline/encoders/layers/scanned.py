"""Recurrent layers with a linear recurrence, computed by a scan over all steps."""

import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, RowLengths, Steps, check_inputs
from pipeline.encoders.carry import Carry, fit_dtype
from pipeline.encoders.cells.linear import LinearCell
from pipeline.encoders.kernels.replayed_cell import run_cell
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.weights import RecurrentWeights, sigmoid_gates


class Scanned(RecurrentLayer):
    """A recurrent layer of a linear cell by `linear_scan`, computed in float32 or higher.

    The carry is the cell state [batch hidden], followed by the last input [batch input] if each
    step reads two. There is no weight dropout, because there are no recurrent weights.

    Args:
        cell: Cell that computes the coefficients of each step.

    Example:
        >>> import torch
        >>> from pipeline.encoders import MinGRUCell
        >>> Scanned(MinGRUCell(3, 4))(torch.zeros(1, 5, 3)).states.shape
        torch.Size([1, 5, 4])
    """

    def __init__(self, cell: LinearCell) -> None:
        super().__init__(weight_dropout=0.0)
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.hidden_size
        self.num_parts, self.reads_carry = cell.window, cell.state_is_cell

    @property
    def num_zoneout_parts(self) -> int:
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
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        return Encoded(*run_cell(self.cell, inputs, self._start(inputs, carry), {}))

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; those of `MinLSTMCell` before normalization."""
        cell, *last = carry
        return sigmoid_gates(self.weights, torch.cat([*last, inputs], dim=-1), cell)

    @property
    def _sizes(self) -> list[int]:
        return [self.output_size] + [self.input_size] * (self.cell.window - 1)

    def _start(self, inputs: Tensor, carry: Carry | None) -> Carry:
        if carry is None or self.cell.window == 1:
            return super()._start(inputs, carry)
        check_inputs(self, inputs)
        expected = [[inputs.shape[0], size] for size in self._sizes]
        shapes = [list(part.shape) if isinstance(part, Tensor) else type(part) for part in carry]
        if shapes != expected:
            raise ValueError(
                f"Scanned expects a carry of cell state and last input, {expected}, got {shapes}; "
                f"initial_carry({inputs.shape[0]}) returns a new one"
            )
        return fit_dtype("Scanned", carry, self._carry_dtype)

    @property
    def _carry_dtype(self) -> torch.dtype:
        return torch.promote_types(self.cell.weight_ih.dtype, torch.float32)  # as `linear_scan`
