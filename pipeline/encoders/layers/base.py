"""The base class of recurrent layers: one layer in one direction."""

import abc

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import Encoder, check_dropout, check_inputs
from pipeline.encoders.carry import Carry, check_carry, fit_dtype
from pipeline.encoders.layers.weights import RecurrentWeights


class RecurrentLayer(Encoder, abc.ABC):
    """Base class of causal recurrent layers whose carry is a flat tuple of [batch hidden] tensors.

    Args:
        weight_dropout: Probability of setting a recurrent weight (not a bias) to 0 for one call in
            training, at all its steps and rows alike; the others are scaled by
            1 / (1 - weight_dropout): DropConnect on the hidden-to-hidden weights (Merity et al.
            2018, arXiv 1708.02182, section 2). Names and values of the parameters stay unchanged,
            and the gradient of a dropped weight is 0.

    Raises:
        ValueError: If `weight_dropout` is not in [0, 1).

    Attributes:
        num_parts: Number of tensors in the carry.
        reads_carry: Whether `states[:, t]` is the first tensor of the carry after step t.
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
    def num_zoneout_parts(self) -> int:
        """Number of tensors of the carry, from the first, that zoneout may mix unit by unit.

        The others are inputs or depend on each other.
        """
        return self.num_parts

    @property
    @abc.abstractmethod
    def weights(self) -> RecurrentWeights:
        """The parameters, for initializers."""

    @property
    def _sample(self) -> Tensor:
        """Any parameter: all have its dtype and device."""
        return self.weights.input

    @property
    def slope_bound(self) -> float | None:
        """Largest slope of f in h' = f(W x + U h + b); None for other recurrences.

        It bounds the norm of the Jacobian dh'/dh by slope times spectral norm of U (Pascanu et al.
        2013, arXiv 1211.5063, section 2.1).
        """
        return None

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """Returns the gates at one step, from its inputs [batch input], for analysis only.

        They are gate name -> values in [0, 1], [batch hidden]; {} for a layer without gates.
        """
        return {}

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; zeros."""
        shape = (batch_size, self.output_size)
        return tuple(self._sample.new_zeros(shape) for _ in range(self.num_parts))

    def _start(self, inputs: Tensor, carry: Carry | None) -> Carry:
        check_inputs(self, inputs)
        if carry is None:
            return self.initial_carry(inputs.shape[0])
        return self.fit_carry(carry, inputs.shape[0])

    def fit_carry(self, carry: Carry, batch_size: int) -> Carry:
        """Converts a carry to the dtype of this layer's computation, or raises a ValueError."""
        check_carry(type(self).__name__, carry, self.num_parts, batch_size, self.output_size)
        return fit_dtype(type(self).__name__, carry, self._carry_dtype)

    @property
    def _carry_dtype(self) -> torch.dtype:
        return self._sample.dtype

    @property
    def drops_weights(self) -> bool:
        """True in training mode if the layer has weight dropout."""
        return self.training and self.weight_dropout > 0

    def _dropped(self) -> Tensor:
        recurrent = self.weights.recurrent
        assert recurrent is not None  # a layer without that matrix has no weight dropout
        return F.dropout(recurrent, self.weight_dropout)
