"""Base classes of the recurrent encoders that users configure with flat settings.

The subclasses repeat the constructor's parameters, because the command line reads flags and their
defaults from signatures and checks them in the source text, where `**kwargs` would accept anything.
"""

import abc
from collections.abc import Callable
from functools import partial

from pipeline.encoders.base import Encoded, Encoder, RowLengths, Steps, check_inputs, check_lengths
from pipeline.encoders.carry import Carry
from pipeline.encoders.cells.linear import LinearCell
from pipeline.encoders.initializers import Initializer, Orthogonal
from pipeline.encoders.kernels.whole_stack import run_together
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.scanned import Scanned
from pipeline.encoders.stack import Connections, Skip, StackShape, build_stack


class Recurrent(Encoder, abc.ABC):
    """Base class of stacks of recurrent layers.

    These are the settings of its subclasses, which describe only their own.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of each layer's state, in each direction.
        num_layers: Number of layers. Each reads the states of the layer below.
        bidirectional: Whether each layer has a second network that reads from right to left. The
            states of both are concatenated.
        skip: Connection around each layer. "residual" adds the inputs of the layer to its states
            and "highway" mixes both by a learned gate, from the second layer on; "dense"
            concatenates the inputs and states of all layers, which makes `output_size` the sum of
            `input_size` and all layers' sizes.
        dropout: Probability of setting a feature to 0 between layers. It is not applied to the
            inputs, the last states and skip connections.
        initializer: Initializer of the weights of each layer; `Orthogonal()` if omitted.
        variational: Whether dropout uses one mask for all steps of a row.
        weight_dropout: Probability of setting a recurrent weight to 0 for one call in training
            (DropConnect: Merity et al. 2018, arXiv 1708.02182, section 2).
        last_size: Number of features of the last layer's state, in each direction; `hidden_size`
            if omitted. A last layer as wide as the embedding allows weight tying with wider layers
            below (Merity et al. 2018, arXiv 1708.02182, section 4.5).
        normalize: Whether layer normalization is applied between layers, before dropout. It is not
            applied to skip connections.
        zoneout: Probability of each unit to keep its old value at a step in training. It is slow
            and excludes `weight_dropout`.
        project: Whether a residual or highway connection between unequal sizes gets a learned
            projection. If not, unequal sizes are an error.

    Raises:
        ValueError: If a size or `num_layers` is below 1, a probability is not in [0, 1), both
            `zoneout` and `weight_dropout` are set, or a skip connection joins unequal sizes.
    """

    @abc.abstractmethod
    def __init__(
        self,
        make_layer: Callable[[int, int], RecurrentLayer],
        shape: StackShape,
        connections: Connections,
        zoneout: float,
        initializer: Initializer | None,
    ) -> None:
        super().__init__()
        initialize = initializer or self.default_initializer()
        self.layers = build_stack(make_layer, shape, connections, zoneout, initialize)
        self.input_size, self.output_size = self.layers.input_size, self.layers.output_size
        self.is_causal = self.layers.is_causal

    @staticmethod
    def default_initializer() -> Initializer:
        """Returns the initializer that is used if none is given."""
        return Orthogonal()

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
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
    """Base class of encoders whose layers have a recurrent matrix, and no settings of their own."""

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
        make_layer = partial(self.make_layer, weight_dropout=weight_dropout)
        shape = StackShape(input_size, hidden_size, num_layers, bidirectional, last_size)
        connections = Connections(skip, dropout, variational, normalize, project)
        super().__init__(make_layer, shape, connections, zoneout, initializer)

    @staticmethod
    @abc.abstractmethod
    def make_layer(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """Returns one direction of one layer."""


class ElementwiseRecurrent(Recurrent, abc.ABC):
    """Base class of encoders whose recurrence is elementwise, and so has no matrix to drop.

    Attributes:
        cell_class: Class of the cells.
    """

    cell_class: Callable[[int, int], LinearCell]

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
        def make_layer(below: int, size: int) -> RecurrentLayer:
            return Scanned(self.cell_class(below, size))

        shape = StackShape(input_size, hidden_size, num_layers, bidirectional, last_size)
        connections = Connections(skip, dropout, variational, normalize, project)
        super().__init__(make_layer, shape, connections, zoneout, initializer)
