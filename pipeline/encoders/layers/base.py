"""The base class of recurrent layers: one layer, one direction."""

import abc

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import Encoder, check_dropout, check_inputs
from pipeline.encoders.carry import Carry, check_carry, fit_dtype
from pipeline.encoders.layers.weights import RecurrentWeights


class RecurrentLayer(Encoder, abc.ABC):
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
