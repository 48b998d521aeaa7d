"""One direction of one layer: a kernel of torch where there is one, a loop where there is none."""

import abc
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.encoders.base import Encoded, Encoder, check_at_least_one, check_choice, check_inputs
from pipeline.encoders.carry import Carry, check_carry
from pipeline.encoders.cells import Cell, ElmanCell, GRUCell, Reset
from pipeline.encoders.weights import RecurrentWeights

Nonlinearity: TypeAlias = Literal["tanh", "relu", "sigmoid"]

_GATES: dict[type[nn.RNNBase], tuple[str, ...]] = {
    nn.RNN: ("candidate",),
    nn.GRU: ("reset", "update", "candidate"),
    nn.LSTM: ("input", "forget", "candidate", "output"),
}


class Leaf(Encoder, abc.ABC):
    """One causal recurrent layer, whose carry is a flat tuple of tensors [batch hidden].

    Attributes:
        num_parts: tensors in the carry.
    """

    num_parts: int
    is_causal = True

    @property
    @abc.abstractmethod
    def weights(self) -> RecurrentWeights:
        """The parameters, for initialisers."""

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; zeros."""
        shape = (batch_size, self.output_size)
        return tuple(self.weights.recurrent.new_zeros(shape) for _ in range(self.num_parts))

    def _start(self, inputs: Tensor, carry: Carry | None) -> Carry:
        check_inputs(self, inputs)
        if carry is None:
            return self.initial_carry(len(inputs))
        check_carry(type(self).__name__, carry, self.num_parts, len(inputs), self.output_size)
        # What a step under autocast left behind (bfloat16) must fit a step without it as well.
        return tuple(part.to(self.weights.recurrent.dtype) for part in carry)


class Fused(Leaf):
    """A kernel of torch: cuDNN on a GPU, and for the LSTM oneDNN on a CPU.

    oneDNN needs float32, or bfloat16 (autocast) on a CPU that has units for it; float64 and the
    other cells run torch's native kernels.

    Args:
        kernel: `nn.RNN`, `nn.GRU` or `nn.LSTM` of one layer and direction, with biases and
            `batch_first`.

    Raises:
        ValueError: `kernel` has other settings.
    """

    def __init__(self, kernel: nn.RNNBase) -> None:
        super().__init__()
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

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        # cuDNN refuses a carry that is a strided view; for any other this copies nothing.
        parts = tuple(part.unsqueeze(0).contiguous() for part in self._start(inputs, carry))
        if self.num_parts == 1:
            states, final = self.kernel(inputs, parts[0])
            return Encoded(states, (final.squeeze(0),))
        states, finals = self.kernel(inputs, parts)
        return Encoded(states, tuple(final.squeeze(0) for final in finals))


class Unrolled(Leaf):
    """A cell in a loop over the steps, for cells that no kernel computes, and as the oracle.

    Args:
        cell: applied from the first step to the last.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.hidden_size
        self.num_parts = cell.num_parts

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
        states = []
        for projected in self.cell.project(inputs).unbind(dim=1):
            carry = self.cell.step(projected, carry)
            states.append(carry[0])
        return Encoded(torch.stack(states, dim=1), carry)


def elman_leaf(input_size: int, hidden_size: int, nonlinearity: Nonlinearity) -> Leaf:
    """An Elman layer: torch's kernel for tanh and relu, a loop for the paper's sigmoid."""
    _check_sizes(input_size, hidden_size)
    check_choice("nonlinearity", nonlinearity, ("tanh", "relu", "sigmoid"))
    if nonlinearity == "sigmoid":
        return Unrolled(ElmanCell(input_size, hidden_size, torch.sigmoid))
    return Fused(nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, batch_first=True))


def gru_leaf(input_size: int, hidden_size: int, reset: Reset) -> Leaf:
    """A GRU layer: torch's kernel for reset after the product, a loop for reset before it."""
    _check_sizes(input_size, hidden_size)
    if reset == "after":
        return Fused(nn.GRU(input_size, hidden_size, batch_first=True))
    return Unrolled(GRUCell(input_size, hidden_size, reset))


def lstm_leaf(input_size: int, hidden_size: int) -> Leaf:
    """An LSTM layer."""
    _check_sizes(input_size, hidden_size)
    return Fused(nn.LSTM(input_size, hidden_size, batch_first=True))


def _check_sizes(input_size: int, hidden_size: int) -> None:
    check_at_least_one("input_size", input_size)
    check_at_least_one("hidden_size", hidden_size)
