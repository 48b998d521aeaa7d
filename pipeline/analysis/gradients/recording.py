"""Runs the recurrent layers of an encoder step by step and records states and carries."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.encoders import Carry, Encoded, Encoder, Zoneout
from pipeline.encoders.layers.base import RecurrentLayer

_BACKWARD = "right_to_left"  # the attribute of `Bidirectional`


@dataclass
class LayerRecord:
    """The states and carries of one layer in one direction, in the order of reading."""

    name: str  # such as "layer 2, right to left"; layers are numbered from 1, the lowest first
    layer: RecurrentLayer
    from_right: bool
    inputs: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0))  # [batch time input]
    lengths: Tensor | None = None  # number of real steps of each row; all if None
    states: list[Tensor] = field(default_factory=list)  # of each step, [batch hidden]
    carries: list[Carry] = field(default_factory=list)  # before the first and after each step

    def positions(self, steps: Tensor) -> Tensor:
        """Converts token indices [batch] to steps in the order of reading; -1 stays -1."""
        if not self.from_right:
            return steps
        whole = steps.new_full(steps.shape, len(self.states))
        lengths = whole if self.lengths is None else self.lengths.to(steps.device)
        return torch.where(steps < 0, steps, lengths - 1 - steps)

    @property
    def followed(self) -> str:
        """The part whose gradient is reported: "state", or "cell" if the carry has no state."""
        is_handed_on = any(part is self.states[0] for part in self.carries[1])
        return "state" if is_handed_on else "cell"

    @property
    def parts(self) -> dict[str, list[Tensor]]:
        """The recorded tensors by name: "state", and "cell" if the carry has another part."""
        named = {"state": self.states}
        for index, part in enumerate(zip(*self.carries[1:], strict=True)):
            if part[0] is not self.states[0]:
                named["cell" if "cell" not in named else f"carry {index}"] = list(part)
        return named


@contextlib.contextmanager
def record_steps(encoder: Encoder) -> Iterator[list[LayerRecord]]:
    """Context in which recurrent layers run step by step and record states and carries.

    The values are those of the ordinary call. Each recorded tensor can be differentiated by, with
    the others of the same step held constant, even if all weights are frozen.

    Each call of a layer of class `RecurrentLayer` adds its record to the list. Raises a ValueError
    if a layer has zoneout, which calls it once per step.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> encoder = LSTM(3, 4, num_layers=2)
        >>> with record_steps(encoder) as records:
        ...     _ = encoder(torch.zeros(1, 5, 3))
        >>> [record.name for record in records]
        ['layer 1', 'layer 2']
    """
    if any(isinstance(part, Zoneout) for part in encoder.modules()):
        raise ValueError(
            "gradients of layers with zoneout cannot be analyzed, because they are called once per "
            "step; use an encoder without it (--model.encoder.zoneout=0)"
        )
    records: list[LayerRecord] = []
    layers = {
        path: part for path, part in encoder.named_modules() if isinstance(part, RecurrentLayer)
    }
    try:
        for path, layer in layers.items():
            # An attribute of the instance hides the method of the class; removed below.
            name, from_right = _name(path, layers), _is_backward(path)
            layer.__dict__["forward"] = _stepper(name, layer, from_right, records)
        yield records
    finally:
        for layer in layers.values():
            layer.__dict__.pop("forward", None)


def _name(path: str, layers: dict[str, RecurrentLayer]) -> str:
    """Names a layer by its position among the layers of its direction."""
    depths = sorted({_depth(other) for other in layers})
    name = f"layer {depths.index(_depth(path)) + 1}"
    if any(_BACKWARD in other for other in layers):
        name += ", right to left" if _is_backward(path) else ", left to right"
    places = {other: (_depth(other), _is_backward(other)) for other in layers}
    is_unique = list(places.values()).count(places[path]) == 1
    return name if is_unique else f"{name} ({path})"


def _depth(path: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"(?:^|\.)(\d+)(?=\.|$)", path))


def _is_backward(path: str) -> bool:
    return path.split(".").count(_BACKWARD) % 2 == 1  # reversing twice restores the order


def _stepper(
    name: str, layer: RecurrentLayer, from_right: bool, records: list[LayerRecord]
) -> Callable[..., Encoded]:
    """Returns a forward method of a layer that runs and records one step at a time."""

    def forward(
        inputs: Tensor, lengths: Tensor | None = None, carry: Carry | None = None
    ) -> Encoded:
        carry = layer.initial_carry(len(inputs)) if carry is None else carry
        record = LayerRecord(name, layer, from_right, inputs, lengths, [], [carry])
        for step in range(max(inputs.shape[1], 1)):  # for 0 steps the layer raises the error
            one = type(layer).forward(layer, inputs[:, step : step + 1], None, carry)
            carry = tuple(_differentiable(part) for part in one.carry)
            # One node for the state in the output and in the carry. Values cannot tell whether
            # they are the same: zeros are equal by chance, and nan never is.
            state = carry[0] if layer.reads_carry else _differentiable(one.states[:, 0])
            record.states.append(state)
            record.carries.append(carry)
        records.append(record)
        return Encoded(torch.stack(record.states, dim=1), carry)

    return forward


def _differentiable(part: Tensor) -> Tensor:
    # A separate node, so that the derivative by the cell of an LSTM holds the state constant,
    # whether a kernel returns both or the state is computed from the cell.
    return part.view_as(part) if part.requires_grad else part.detach().requires_grad_()
