"""Runs the recurrent layers of an encoder step by step, and keeps what goes from step to step."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.encoders import Carry, Encoded, Encoder, Zoneout
from pipeline.encoders.layers.base import RecurrentLayer

_BACKWARD = "right_to_left"  # the attribute of `Bidirectional`


@dataclass
class LayerRecord:
    """One layer, in one direction, over the steps of a batch, in the order in which it reads them.

    Attributes:
        name: as "layer 2, right to left"; layers count from 1, from the lowest up.
        leaf: the layer.
        from_right: whether it reads from right to left.
        inputs: what it read [batch time input].
        lengths: real steps of each row; all of them if None.
        states: of each step [batch hidden], as the layers above read them.
        carries: before the first step, and after each; flat tuples of tensors [batch ...].
    """

    name: str
    leaf: RecurrentLayer
    from_right: bool
    inputs: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0))
    lengths: Tensor | None = None
    states: list[Tensor] = field(default_factory=list)
    carries: list[Carry] = field(default_factory=list)

    def places(self, steps: Tensor) -> Tensor:
        """Says at which of its own steps this layer reads tokens.

        Args:
            steps: a token of each row, counted from the left; -1 for none [batch].

        Returns:
            Steps in the order of reading; -1 for none [batch].
        """
        if not self.from_right:
            return steps
        whole = steps.new_full(steps.shape, len(self.states))
        lengths = whole if self.lengths is None else self.lengths.to(steps.device)
        return torch.where(steps < 0, steps, lengths - 1 - steps)

    @property
    def followed(self) -> str:
        """Which part the loss is followed by: the state, or the memory where that alone goes on."""
        is_handed_on = any(part is self.states[0] for part in self.carries[1])
        return "state" if is_handed_on else "memory"

    @property
    def parts(self) -> dict[str, list[Tensor]]:
        """What is handed on, by name: "state", and "memory" where a layer has a cell beside it."""
        named = {"state": self.states}
        for index, part in enumerate(zip(*self.carries[1:], strict=True)):
            if part[0] is not self.states[0]:
                named["memory" if "memory" not in named else f"carry {index}"] = list(part)
        return named


@contextlib.contextmanager
def record_steps(encoder: Encoder) -> Iterator[list[LayerRecord]]:
    """Has each recurrent layer of an encoder read one step at a time, while the context lasts.

    States and carries are those of the ordinary call, where they are specified. Each can be
    differentiated by, whether or not any weight can, with the others of the same step held still.

    Args:
        encoder: any; layers are its `RecurrentLayer`s.

    Yields:
        The list to which each call of a layer adds its trace.

    Raises:
        ValueError: a layer has zoneout, which calls it once for each step.
    """
    if any(isinstance(part, Zoneout) for part in encoder.modules()):
        raise ValueError(
            "layers with zoneout are called once for each step, and cannot be looked at; take an "
            "encoder without it (--model.encoder.zoneout=0)"
        )
    traces: list[LayerRecord] = []
    leaves = {
        path: part for path, part in encoder.named_modules() if isinstance(part, RecurrentLayer)
    }
    try:
        for path, leaf in leaves.items():
            # An attribute of the instance hides the method of the class, and is removed again.
            leaf.__dict__["forward"] = _Stepper(_name(path, leaves), leaf, path, traces)
        yield traces
    finally:
        for leaf in leaves.values():
            leaf.__dict__.pop("forward", None)


def _name(path: str, leaves: dict[str, RecurrentLayer]) -> str:
    """Names a layer after its place among the layers of its own direction."""
    depths = sorted({_depth(other) for other in leaves})
    layer = f"layer {depths.index(_depth(path)) + 1}"
    if not any(_BACKWARD in other for other in leaves):
        name = layer
    else:
        name = f"{layer}, {'right to left' if _is_backward(path) else 'left to right'}"
    same = [other for other in leaves if _key(other) == _key(path)]
    return name if len(same) == 1 else f"{name} ({path})"


def _depth(path: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"(?:^|\.)(\d+)(?=\.|$)", path))


def _key(path: str) -> tuple[tuple[int, ...], bool]:
    return _depth(path), _is_backward(path)


def _is_backward(path: str) -> bool:
    return path.split(".").count(_BACKWARD) % 2 == 1  # what is turned twice reads as before


class _Stepper:
    """The forward call of a layer, one step at a time."""

    def __init__(
        self, name: str, leaf: RecurrentLayer, path: str, traces: list[LayerRecord]
    ) -> None:
        self._name, self._leaf, self._from_right = name, leaf, _is_backward(path)
        self._traces = traces

    def __call__(
        self, inputs: Tensor, lengths: Tensor | None = None, carry: Carry | None = None
    ) -> Encoded:
        leaf = self._leaf
        carry = leaf.initial_carry(len(inputs)) if carry is None else carry
        trace = LayerRecord(self._name, leaf, self._from_right, inputs, lengths, [], [carry])
        for step in range(max(inputs.shape[1], 1)):  # no step is the layer's own error
            one = type(leaf).forward(leaf, inputs[:, step : step + 1], None, carry)
            carry = tuple(_differentiable(part) for part in one.carry)
            # The state that is read and the one that is handed on are one to differentiate by. Not
            # told by their values: zeros may be equal by chance, and what is not a number never is.
            is_one = leaf.reads_carry
            trace.states.append(carry[0] if is_one else _differentiable(one.states[:, 0]))
            trace.carries.append(carry)
        self._traces.append(trace)
        return Encoded(torch.stack(trace.states, dim=1), carry)


def _differentiable(part: Tensor) -> Tensor:
    # A node of its own, so that a derivative by the cell of an LSTM holds the state still, whether
    # a kernel gives both or the state is computed from the cell.
    return part.view_as(part) if part.requires_grad else part.detach().requires_grad_()
