"""What the recurrent encoders that a configuration names inherit: flat settings."""

import abc
from collections.abc import Callable
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, check_inputs, check_lengths
from pipeline.encoders.carry import Carry
from pipeline.encoders.initializers import Initializer, Orthogonal
from pipeline.encoders.kernels.whole_stack import run_together
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.stack import Joints, Shape, Skip, stack


class Recurrent(Encoder, abc.ABC):
    """A stack of recurrent layers under a name and flat settings.

    Abstract: a class without settings of its own inherits those of `MatrixRecurrent` or
    `ElementwiseRecurrent` and says what its leaf is; a class with some lists all.

    Args:
        leaf: makes one direction of one layer from its input size and its hidden size.
        shape: see `Shape`.
        joints: see `Joints`.
        zoneout: see `MatrixRecurrent`.
        initializer: see `MatrixRecurrent`.
    """

    @abc.abstractmethod
    def __init__(
        self,
        leaf: Callable[[int, int], RecurrentLayer],
        shape: Shape,
        joints: Joints,
        zoneout: float,
        initializer: Initializer | None,
    ) -> None:
        super().__init__()
        first_values = initializer or self.default_initializer()
        self.layers = stack(leaf, shape, joints, zoneout, first_values)
        self.input_size, self.output_size = self.layers.input_size, self.layers.output_size
        self.is_causal = self.layers.is_causal

    @staticmethod
    def default_initializer() -> Initializer:
        """What fills the layers where no initializer is given."""
        return Orthogonal()

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        check_lengths(inputs, lengths)
        encoded = run_together(self.layers, inputs, lengths, carry)
        return self.layers(inputs, lengths, carry) if encoded is None else encoded

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        return self.layers.initial_carry(batch_size)


class MatrixRecurrent(Recurrent, abc.ABC):
    """Layers with a matrix from state to state, of any depth and in one or both directions.

    Args:
        input_size: features of each input step.
        hidden_size: features of each layer's state, in each direction.
        num_layers: layers, each reading the states of the one below.
        bidirectional: whether a second network per layer reads from the right; the states of
            both, side by side, are what the next layer reads.
        skip: "residual" adds what a layer reads to its states and "highway" mixes the two by a
            gate, both from the second layer on; with "dense" a layer reads the inputs and the
            states of all layers below, and the encoder's states are all of these side by side:
            its `output_size` is `input_size` and every layer's together. See `Residual`,
            `Highway` and `Dense`.
        dropout: chance of dropping a number that a layer reads from the layers below (not with
            a skip connection's share, and not before the first or after the last layer).
        initializer: first values of each layer; `Orthogonal()` if omitted.
        variational: one dropout mask per row, the same at each step.
        weight_dropout: in training, chance of dropping a recurrent weight of any layer for one
            call, see `pipeline.encoders.layers.base.RecurrentLayer`.
        last_size: features of the last layer's state, in each direction; `hidden_size` if omitted.
            (A layer as wide as the embedding lets wide layers below it share the output layer's
            weights: Merity et al. 2018, arXiv 1708.02182, section 4.5.)
        normalize: layer normalisation of what each layer reads from the layers below, before
            dropout and not on a skip connection's share, see `Normalized`.
        zoneout: in training, chance of each unit of each layer's memory to skip a step; slow, and
            not together with `weight_dropout`, see `Zoneout`.
        project: a residual or highway connection between unequal sizes gets a learned projection
            instead of being refused.

    Raises:
        ValueError: a size or `num_layers` is below 1, a chance is not in [0, 1), zoneout meets
            weight dropout, or a skip connection joins unequal sizes.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        leaf = partial(self.leaf, weight_dropout=weight_dropout)
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(leaf, shape, joints, zoneout, initializer)

    @staticmethod
    @abc.abstractmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """One direction of one layer."""


class ElementwiseRecurrent(Recurrent, abc.ABC):
    """Layers in which a unit of the memory sees no other unit's past, and so without such a matrix.

    There is no `weight_dropout`, since there is no recurrent weight to drop.

    Args:
        input_size: see `MatrixRecurrent`.
        hidden_size: see `MatrixRecurrent`.
        num_layers: see `MatrixRecurrent`.
        bidirectional: see `MatrixRecurrent`.
        skip: see `MatrixRecurrent`.
        dropout: see `MatrixRecurrent`.
        initializer: see `MatrixRecurrent`.
        variational: see `MatrixRecurrent`.
        last_size: see `MatrixRecurrent`.
        normalize: see `MatrixRecurrent`.
        zoneout: see `MatrixRecurrent`.
        project: see `MatrixRecurrent`.

    Raises:
        ValueError: see `MatrixRecurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        initializer: Initializer | None = None,
        variational: bool = False,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(self.leaf, shape, joints, zoneout, initializer)

    @staticmethod
    @abc.abstractmethod
    def leaf(input_size: int, hidden_size: int) -> RecurrentLayer:
        """One direction of one layer."""
