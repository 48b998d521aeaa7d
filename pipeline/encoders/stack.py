"""Builds stacks of recurrent layers from flat settings."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from pipeline.encoders.base import Encoder, check_at_least_one, check_choice, check_dropout
from pipeline.encoders.initializers import Initializer
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.wrappers.base import Normalized
from pipeline.encoders.wrappers.bidirectional import Bidirectional
from pipeline.encoders.wrappers.dropout import DropInputs
from pipeline.encoders.wrappers.skips import Dense, Highway, Residual
from pipeline.encoders.wrappers.stacked import Stacked
from pipeline.encoders.wrappers.zoneout import Zoneout

Skip: TypeAlias = Literal["none", "residual", "dense", "highway"]


class StackShape(NamedTuple):
    """The sizes of a stack, as described in `pipeline.encoders.settings.Recurrent`."""

    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    last_size: int | None


class Connections(NamedTuple):
    """The settings between layers, as described in `pipeline.encoders.settings.Recurrent`."""

    skip: Skip
    dropout: float
    variational: bool
    normalize: bool
    project: bool


def build_stack(
    make_layer: Callable[[int, int], RecurrentLayer],
    shape: StackShape,
    connections: Connections,
    zoneout: float,
    initialize: Initializer,
) -> Stacked:
    """Builds and initializes recurrent layers, from the lowest up; zoneout 0 adds no wrapper.

    `make_layer` maps input size and hidden size to one direction of one layer. Raises a ValueError
    if a setting is out of range or a skip connection joins unequal sizes.
    """
    check_choice("skip", connections.skip, ("none", "residual", "dense", "highway"))
    check_dropout(connections.dropout)
    check_dropout(zoneout, "zoneout")

    def direction(input_size: int, hidden_size: int) -> Encoder:
        layer = make_layer(input_size, hidden_size)
        initialize(layer.weights)
        return Zoneout(layer, zoneout) if zoneout else layer

    layers: list[Encoder] = []
    for size in _sizes(shape):
        below = layers[-1].output_size if layers else shape.input_size
        layer = direction(below, size)
        if shape.bidirectional:
            layer = Bidirectional(layer, direction(below, size))
        if layers:
            layer = _connect(layer, connections, number=len(layers) + 1)
        layers.append(Dense(layer) if connections.skip == "dense" else layer)
    return Stacked(layers)


def _sizes(shape: StackShape) -> list[int]:
    check_at_least_one("num_layers", shape.num_layers)
    if shape.last_size is None:
        return [shape.hidden_size] * shape.num_layers
    check_at_least_one("last_size", shape.last_size)
    return [shape.hidden_size] * (shape.num_layers - 1) + [shape.last_size]


def _connect(layer: Encoder, connections: Connections, number: int) -> Encoder:
    """Connects a layer to the one below; dropout is inside the skip connection."""
    # Wrapped at dropout 0 too, so that names in a checkpoint do not depend on the probability.
    layer = DropInputs(layer, connections.dropout, connections.variational)
    if connections.normalize:  # before dropout, whose zeros would change mean and deviation
        layer = Normalized(layer)
    if connections.skip in ("none", "dense"):
        return layer
    if layer.input_size != layer.output_size and not connections.project:
        raise ValueError(
            f"skip={connections.skip} adds the inputs of layer {number}, {layer.input_size} "
            f"features, to its states, {layer.output_size} features, which needs equal sizes; "
            "change input_size, hidden_size or last_size, or set project=True"
        )
    return (Residual if connections.skip == "residual" else Highway)(layer, connections.project)
