"""Recurrent layers computed by a loop over a cell."""

import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, RowLengths, Steps
from pipeline.encoders.carry import Carry
from pipeline.encoders.cells.standard import Cell
from pipeline.encoders.kernels.replayed_cell import run_cell
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.weights import RecurrentWeights


class Unrolled(RecurrentLayer):
    """A recurrent layer by a loop over the steps, for cells without a kernel and as test oracle.

    On a GPU the loop is recorded once for each shape and then replayed with `cuda_graphs: true`.

    Args:
        cell: Cell that computes each step.
        weight_dropout: Probability of setting a recurrent weight to 0 for one call in training.

    Raises:
        ValueError: If `weight_dropout` is not in [0, 1).

    Example:
        >>> import torch
        >>> from pipeline.encoders import GRUCell
        >>> Unrolled(GRUCell(3, 4, reset="before"))(torch.zeros(1, 5, 3)).states.shape
        torch.Size([1, 5, 4])
    """

    def __init__(self, cell: Cell, weight_dropout: float = 0.0) -> None:
        super().__init__(weight_dropout)
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.hidden_size
        self.num_parts = cell.num_parts

    @property
    def num_zoneout_parts(self) -> int:
        """See `RecurrentLayer`."""
        return self.cell.num_zoneout_parts

    @property
    def _carry_dtype(self) -> torch.dtype:
        own = self._sample.dtype
        return torch.promote_types(own, torch.float32) if self.cell.keeps_float32 else own

    @property
    def weights(self) -> RecurrentWeights:
        """See `RecurrentLayer`."""
        return self.cell.weights

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        carry = self._start(inputs, carry)
        dropped = {"weight_hh": self._dropped()} if self.drops_weights else {}
        return Encoded(*run_cell(self.cell, inputs, carry, dropped))

    @property
    def slope_bound(self) -> float | None:
        """See `RecurrentLayer`."""
        return self.cell.slope_bound

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`."""
        return self.cell.gate_values(inputs, carry)
