"""The recurrent encoders that a configuration names, each with flat settings."""

import abc
from collections.abc import Callable
from functools import partial
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, check_at_least_one, check_choice, check_inputs
from pipeline.encoders.carry import Carry
from pipeline.encoders.dropout import check_dropout
from pipeline.encoders.initializers import Initializer, Orthogonal
from pipeline.encoders.leaves import Leaf, elman_leaf, gru_leaf, lstm_leaf
from pipeline.encoders.wrappers import Bidirectional, DropInputs, Residual, Stacked


class _Recurrent(Encoder, abc.ABC):
    """What `Elman`, `GRU` and `LSTM` share: a name and flat settings for a stack of layers."""

    @abc.abstractmethod
    def __init__(self, layers: Stacked) -> None:
        super().__init__()
        self.layers = layers
        self.input_size, self.output_size = layers.input_size, layers.output_size
        self.is_causal = layers.is_causal

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        return self.layers(inputs, lengths, carry)

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        return self.layers.initial_carry(batch_size)


class Elman(_Recurrent):
    """Simple recurrent networks (Elman 1990), of any depth and in one or both directions.

    Args:
        input_size: features of each input step.
        hidden_size: features of each layer's state, in each direction.
        num_layers: layers, each reading the states of the one below.
        bidirectional: whether a second network per layer reads from the right; the states of
            both, side by side, are what the next layer reads.
        skip: "residual" adds what a layer reads to its states, from the second layer on.
        dropout: chance of dropping a number that a layer reads from the layer below (not with
            a residual connection's share, and not before the first or after the last layer).
        nonlinearity: "tanh", "relu", or the paper's "sigmoid" (no kernel: a slower loop).
        initializer: first values of each layer; `Orthogonal()` if omitted.
        variational: one dropout mask per row, the same at each step.
        weight_dropout: in training, chance of dropping a recurrent weight of any layer for one
            call, see `pipeline.encoders.leaves.Leaf`.
        last_size: features of the last layer's state, in each direction; `hidden_size` if omitted.
            (A layer as wide as the embedding lets wide layers below it share the output layer's
            weights: Merity et al. 2018, arXiv 1708.02182, section 4.5.)

    Raises:
        ValueError: a size or `num_layers` is below 1, a chance is not in [0, 1), or a residual
            connection joins layers of different sizes.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Literal["none", "residual"] = "none",
        dropout: float = 0.0,
        nonlinearity: Literal["tanh", "relu", "sigmoid"] = "tanh",
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
    ) -> None:
        leaf = partial(elman_leaf, nonlinearity=nonlinearity, weight_dropout=weight_dropout)
        sizes = _sizes(hidden_size, num_layers, last_size)
        super().__init__(
            _stack(leaf, input_size, sizes, bidirectional, skip, dropout, variational, initializer)
        )


class GRU(_Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078).

    Args:
        input_size: see `Elman`.
        hidden_size: see `Elman`.
        num_layers: see `Elman`.
        bidirectional: see `Elman`.
        skip: see `Elman`.
        dropout: see `Elman`.
        reset: "after" the recurrent product, as cuDNN and torch have it, or "before", as the
            paper has it (no kernel: a slower loop).
        initializer: see `Elman`.
        variational: see `Elman`.
        weight_dropout: see `Elman`.
        last_size: see `Elman`.

    Raises:
        ValueError: see `Elman`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Literal["none", "residual"] = "none",
        dropout: float = 0.0,
        reset: Literal["after", "before"] = "after",
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
    ) -> None:
        leaf = partial(gru_leaf, reset=reset, weight_dropout=weight_dropout)
        sizes = _sizes(hidden_size, num_layers, last_size)
        super().__init__(
            _stack(leaf, input_size, sizes, bidirectional, skip, dropout, variational, initializer)
        )


class LSTM(_Recurrent):
    """Long short-term memory with forget gates (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    Args:
        input_size: see `Elman`.
        hidden_size: see `Elman`.
        num_layers: see `Elman`.
        bidirectional: see `Elman`.
        skip: see `Elman`.
        dropout: see `Elman`.
        initializer: see `Elman`; the bias of the forget gates is set here too.
        variational: see `Elman`.
        weight_dropout: see `Elman`.
        last_size: see `Elman`.

    Raises:
        ValueError: see `Elman`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Literal["none", "residual"] = "none",
        dropout: float = 0.0,
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
    ) -> None:
        leaf = partial(lstm_leaf, weight_dropout=weight_dropout)
        sizes = _sizes(hidden_size, num_layers, last_size)
        super().__init__(
            _stack(leaf, input_size, sizes, bidirectional, skip, dropout, variational, initializer)
        )


def _sizes(hidden_size: int, num_layers: int, last_size: int | None) -> list[int]:
    check_at_least_one("num_layers", num_layers)
    if last_size is None:
        return [hidden_size] * num_layers
    check_at_least_one("last_size", last_size)
    return [hidden_size] * (num_layers - 1) + [last_size]


def _stack(
    leaf: Callable[[int, int], Leaf],
    input_size: int,
    sizes: list[int],
    bidirectional: bool,
    skip: str,
    dropout: float,
    variational: bool,
    initializer: Initializer | None,
) -> Stacked:
    check_choice("skip", skip, ("none", "residual"))
    check_dropout(dropout)
    initialize = initializer or Orthogonal()

    def build(input_size: int, hidden_size: int) -> Leaf:
        built = leaf(input_size, hidden_size)
        initialize(built.weights)
        return built

    layers: list[Encoder] = []
    for size in sizes:
        below = layers[-1].output_size if layers else input_size
        layer: Encoder = build(below, size)
        if bidirectional:
            layer = Bidirectional(layer, build(below, size))
        layers.append(_connect(layer, skip, dropout, variational) if layers else layer)
    return Stacked(layers)


def _connect(layer: Encoder, skip: str, dropout: float, variational: bool) -> Encoder:
    """How a layer is joined to the one below; dropout is inside, so a skip carries all."""
    # Wrapped at dropout 0 as well, so that the names in a checkpoint do not depend on the chance.
    layer = DropInputs(layer, dropout, variational)
    return Residual(layer) if skip == "residual" else layer
