"""Stacks of recurrent layers from flat settings."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from pipeline.encoders.base import Encoder, check_at_least_one, check_choice, check_dropout
from pipeline.encoders.initializers import Initializer
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.wrappers.dropout import DropInputs
from pipeline.encoders.wrappers.skips import Dense, Highway, Residual
from pipeline.encoders.wrappers.stacked import Bidirectional, Normalized, Stacked
from pipeline.encoders.wrappers.zoneout import Zoneout

Skip: TypeAlias = Literal["none", "residual", "dense", "highway"]


class Shape(NamedTuple):
    """The sizes of a stack; `pipeline.encoders.settings.MatrixRecurrent` describes each setting."""

    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    last_size: int | None


class Joints(NamedTuple):
    """The settings between layers; `MatrixRecurrent` in `settings.py` describes each of them."""

    skip: Skip
    dropout: float
    variational: bool
    normalize: bool
    project: bool


def stack(
    leaf: Callable[[int, int], RecurrentLayer],
    shape: Shape,
    joints: Joints,
    zoneout: float,
    initialize: Initializer,
) -> Stacked:
    """Builds and initialises recurrent layers, from the lowest up.

    Args:
        leaf: makes one direction of one layer from its input size and its hidden size.
        shape: of the stack.
        joints: how each layer is joined to those below.
        zoneout: see `Zoneout`.
        initialize: first values of each direction of each layer.

    Raises:
        ValueError: a setting is out of its range, or a skip connection joins unequal sizes.
    """
    check_choice("skip", joints.skip, ("none", "residual", "dense", "highway"))
    check_dropout(joints.dropout)
    check_dropout(zoneout, "zoneout")

    def direction(input_size: int, hidden_size: int) -> Encoder:
        built = leaf(input_size, hidden_size)
        initialize(built.weights)
        return Zoneout(built, zoneout) if zoneout else built

    layers: list[Encoder] = []
    for size in _sizes(shape):
        below = layers[-1].output_size if layers else shape.input_size
        layer = direction(below, size)
        if shape.bidirectional:
            layer = Bidirectional(layer, direction(below, size))
        if layers:
            layer = _connect(layer, joints, number=len(layers) + 1)
        layers.append(Dense(layer) if joints.skip == "dense" else layer)
    return Stacked(layers)


def _sizes(shape: Shape) -> list[int]:
    check_at_least_one("num_layers", shape.num_layers)
    if shape.last_size is None:
        return [shape.hidden_size] * shape.num_layers
    check_at_least_one("last_size", shape.last_size)
    return [shape.hidden_size] * (shape.num_layers - 1) + [shape.last_size]


def _connect(layer: Encoder, joints: Joints, number: int) -> Encoder:
    """How a layer is joined to the one below; dropout is inside, so a skip carries all."""
    # Wrapped at dropout 0 as well, so that the names in a checkpoint do not depend on the chance.
    layer = DropInputs(layer, joints.dropout, joints.variational)
    if joints.normalize:  # before dropout, whose zeros would move the mean and the deviation
        layer = Normalized(layer)
    if joints.skip in ("none", "dense"):
        return layer
    if layer.input_size != layer.output_size and not joints.project:
        raise ValueError(
            f"skip={joints.skip} joins what layer {number} reads, {layer.input_size} features, to "
            f"its states, {layer.output_size} features: make the two equal, or set project=True "
            "for a learned projection"
        )
    return (Residual if joints.skip == "residual" else Highway)(layer, joints.project)
