"""One direction of one layer: a kernel of torch where there is one, a loop where there is none."""

import abc
from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import Encoded, Encoder, check_inputs
from pipeline.encoders.carry import Carry, check_carry, fit_dtype
from pipeline.encoders.cells.standard import Cell
from pipeline.encoders.gru import encode_gru, steps_pay
from pipeline.encoders.layers.hooks import is_hooked
from pipeline.encoders.layers.weights import RecurrentWeights, sigmoid_gates
from pipeline.encoders.wrappers.dropout import check_dropout

_GATES: dict[type[nn.RNNBase], tuple[str, ...]] = {
    nn.RNN: ("candidate",),
    nn.GRU: ("reset", "update", "candidate"),
    nn.LSTM: ("input", "forget", "candidate", "output"),
}
KERNEL_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


class Leaf(Encoder, abc.ABC):
    """One causal recurrent layer, whose carry is a flat tuple of tensors [batch hidden].

    Args:
        weight_dropout: in training, the chance of each recurrent weight (not of a bias) to become 0
            for one call, at all its steps and rows alike; what is kept is scaled by
            1 / (1 - weight_dropout): DropConnect on the hidden-to-hidden weights (Merity et al.
            2018, arXiv 1708.02182, section 2). The parameters and their names stay what they are,
            and the gradient of a dropped weight is 0.

    Raises:
        ValueError: `weight_dropout` is not in [0, 1).

    Attributes:
        num_parts: tensors in the carry.
        reads_carry: `states[:, t]` is the first part of the carry after step t.
    """

    num_parts: int
    reads_carry: bool = True
    is_causal = True

    @abc.abstractmethod
    def __init__(self, weight_dropout: float) -> None:
        super().__init__()
        check_dropout(weight_dropout, "weight_dropout")
        self.weight_dropout = weight_dropout

    @property
    def num_memories(self) -> int:
        """How many parts of the carry, the first ones, may keep old values unit by unit.

        Those after them are inputs, or sums in a scale of their own.
        """
        return self.num_parts

    @property
    @abc.abstractmethod
    def weights(self) -> RecurrentWeights:
        """The parameters, for initialisers."""

    @property
    def _sample(self) -> Tensor:
        """Some parameter, for the dtype and the device of all."""
        return self.weights.input

    @property
    def slope_bound(self) -> float | None:
        """The greatest slope of f, for h' = f(W x + U h + b); None for other recurrences.

        No norm of a Jacobian dh'/dh is then above it times the spectral norm of U (Pascanu et al.
        2013, arXiv 1211.5063, section 2.1).
        """
        return None

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """Tells how open the gates are at one step, for who looks on; never used to compute.

        Args:
            inputs: of the step, [batch input].
            carry: before the step.

        Returns:
            Name -> values in [0, 1], [batch hidden]; {} for a layer without gates.
        """
        return {}

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; zeros."""
        shape = (batch_size, self.output_size)
        return tuple(self._sample.new_zeros(shape) for _ in range(self.num_parts))

    def _start(self, inputs: Tensor, carry: Carry | None) -> Carry:
        check_inputs(self, inputs)
        if carry is None:
            return self.initial_carry(len(inputs))
        return self.fit_carry(carry, len(inputs))

    def fit_carry(self, carry: Carry, batch_size: int) -> Carry:
        """The carry in the dtype that this leaf computes it in.

        Raises:
            ValueError: it is not that of this leaf and `batch_size` rows, see `fit_dtype` also.
        """
        check_carry(type(self).__name__, carry, self.num_parts, batch_size, self.output_size)
        return fit_dtype(type(self).__name__, carry, self._carry_dtype)

    @property
    def _carry_dtype(self) -> torch.dtype:
        """Of what goes from step to step, where it is not that of the parameters."""
        return self._sample.dtype

    @property
    def drops_weights(self) -> bool:
        """Whether recurrent weights are dropped now."""
        return self.training and self.weight_dropout > 0

    def _dropped(self) -> Tensor:
        """The recurrent weights of one call, whose gradient reaches the parameter."""
        recurrent = self.weights.recurrent
        assert recurrent is not None  # a leaf without that matrix offers no weight dropout
        return F.dropout(recurrent, self.weight_dropout)


class Fused(Leaf):
    """A kernel: cuDNN on a GPU; on a CPU oneDNN for the LSTM, and our own steps for the GRU.

    oneDNN needs float32, or bfloat16 (autocast) on a CPU that has units for it; float64 and the
    other cells run torch's native kernels, the GRU where `gru_steps` would not be faster. What
    `gru_steps` takes over of a row that ended before is its state after its last real step.

    Args:
        kernel: `nn.RNN`, `nn.GRU` or `nn.LSTM` of one layer and direction, with biases and
            `batch_first`.
        weight_dropout: see `Leaf`.

    Raises:
        ValueError: `kernel` has other settings, or `weight_dropout` is not in [0, 1).
    """

    def __init__(self, kernel: nn.RNNBase, weight_dropout: float = 0.0) -> None:
        super().__init__(weight_dropout)
        plain = kernel.num_layers == 1 and not kernel.bidirectional and kernel.proj_size == 0
        known = type(kernel) in _GATES
        if not (known and plain and kernel.bias and kernel.batch_first):
            raise ValueError(
                "Fused expects nn.RNN, nn.GRU or nn.LSTM of one layer and one direction, with "
                f"biases and batch_first=True and without projection, got {kernel}"
            )
        self.kernel = kernel
        self.input_size, self.output_size = kernel.input_size, kernel.hidden_size
        self.num_parts = 2 if isinstance(kernel, nn.LSTM) else 1

    @property
    def weights(self) -> RecurrentWeights:
        """See `Leaf`."""
        ((matrix, recurrent, bias, recurrent_bias),) = self.kernel.all_weights
        return RecurrentWeights(matrix, recurrent, bias, recurrent_bias, _GATES[type(self.kernel)])

    def calls_torch(self, inputs: Tensor, lengths: Tensor | None) -> bool:
        """Whether torch's kernel runs on these, rather than steps of our own."""
        is_ours = isinstance(self.kernel, nn.GRU) and not is_hooked(self.kernel)
        fits = inputs.dtype == self._sample.dtype  # else torch says so
        return not (is_ours and fits and steps_pay(inputs, lengths))

    @property
    def _sample(self) -> Tensor:
        # `weights` gathers all of them, which a call of one step would feel.
        return cast("Tensor", self.kernel.weight_ih_l0)

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        start = self._start(inputs, carry)
        if not self.calls_torch(inputs, lengths):
            weights = self.weights
            if self.drops_weights:
                weights = weights._replace(recurrent=self._dropped())
            return encode_gru(inputs, lengths, start[0], weights)
        # cuDNN refuses a carry that is a strided view; for any other this copies nothing.
        parts = tuple(part.unsqueeze(0).contiguous() for part in start)
        if self.num_parts == 1:
            states, final = self._run(inputs, parts[0])
            return Encoded(states, (final.squeeze(0),))
        states, finals = self._run(inputs, parts)
        return Encoded(states, tuple(final.squeeze(0) for final in finals))

    @property
    def slope_bound(self) -> float | None:
        """See `Leaf`; 1 for tanh and relu."""
        return 1.0 if isinstance(self.kernel, nn.RNN) else None

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `Leaf`."""
        return sigmoid_gates(self.weights, inputs, carry[0])

    def _run(self, inputs: Tensor, carry: Tensor | Carry) -> Any:  # noqa: ANN401 (by the kernel)
        if not self.drops_weights:
            return self.kernel(inputs, carry)
        ((matrix, _, bias, recurrent_bias),) = self.kernel.all_weights
        given = (matrix, self._dropped(), bias, recurrent_bias)
        # cuDNN reads one piece of memory in this order, and else copies into one at every call,
        # with a warning.
        views = dict(zip(KERNEL_WEIGHTS, one_piece(given), strict=True))
        return functional_call(self.kernel, views, (inputs, carry), strict=True)


def one_piece(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copies of `weights` side by side in one piece of memory; gradients reach the originals."""
    flat = torch.cat([weight.flatten() for weight in weights])
    pieces = torch.split(flat, [weight.numel() for weight in weights])
    return [piece.view_as(weight) for piece, weight in zip(pieces, weights, strict=True)]


class Unrolled(Leaf):
    """A cell in a loop over the steps, for cells that no kernel computes, and as the oracle.

    Args:
        cell: applied from the first step to the last.
        weight_dropout: see `Leaf`.

    Raises:
        ValueError: `weight_dropout` is not in [0, 1).
    """

    def __init__(self, cell: Cell, weight_dropout: float = 0.0) -> None:
        super().__init__(weight_dropout)
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.hidden_size
        self.num_parts = cell.num_parts

    @property
    def num_memories(self) -> int:
        """See `Leaf`."""
        return self.cell.num_memories

    @property
    def _carry_dtype(self) -> torch.dtype:
        own = super()._carry_dtype
        return torch.promote_types(own, torch.float32) if self.cell.keeps_float32 else own

    @property
    def weights(self) -> RecurrentWeights:
        """See `Leaf`."""
        return self.cell.weights

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        carry = self._start(inputs, carry)
        dropped = {"weight_hh": self._dropped()} if self.drops_weights else {}
        return Encoded(*functional_call(self.cell, dropped, (inputs, carry)))

    @property
    def slope_bound(self) -> float | None:
        """See `Leaf`."""
        return self.cell.slope_bound

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `Leaf`."""
        return self.cell.gate_values(inputs, carry)
