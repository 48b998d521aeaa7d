"""Runs all steps of a cell on a GPU as one recorded computation instead of a loop in Python.

A loop over 35 steps launches hundreds of kernels that each take less time than their launch.
Recorded as CUDA graphs, forward and backward pass take one launch each, and one copy for each
tensor that goes in or out.
"""

import contextlib
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.console import print_note
from pipeline.encoders.carry import Carry
from pipeline.encoders.kernels.recording import Compute, Recording, record_cuda
from pipeline.encoders.layers.fused import is_hooked

Record: TypeAlias = Callable[[Compute, Sequence[Tensor], Sequence[Tensor]], Recording]

ENOUGH_STEPS = 4  # for fewer, the copies take as long as the launches
CALLS_BEFORE = (
    2  # ordinary calls of a shape before it is recorded, so that rare shapes cost nothing
)
MOST_SHAPES = 16  # recorded for each cell; each keeps the memory of one forward and backward pass
_MOST_COUNTED = 1000

_is_enabled = ContextVar("is_enabled", default=True)


@contextlib.contextmanager
def plain_loops() -> Iterator[None]:
    """Context in which all cells run as loops, on a GPU too.

    Example:
        >>> import torch
        >>> from pipeline.encoders import SLSTM
        >>> with plain_loops():
        ...     states = SLSTM(3, 4)(torch.zeros(1, 5, 3)).states
    """
    token = _is_enabled.set(False)
    try:
        yield
    finally:
        _is_enabled.reset(token)


def run_cell(
    cell: nn.Module, inputs: Tensor, carry: Carry, replaced: dict[str, Tensor]
) -> tuple[Tensor, Carry]:
    """Returns `cell(inputs, carry)`, with some of its parameters replaced by other tensors.

    The values are those of the plain call. On a GPU it is recorded at the third call of one shape
    and replayed from then on; `_can_replay` has the exceptions. Gradients of replayed calls cannot
    be differentiated again.
    """
    if torch.compiler.is_compiling() or not _can_replay(cell, inputs.device, inputs.shape[1]):
        return _loop(cell, inputs, carry, replaced)
    names = list(replaced)
    tensors = (inputs, *carry, *replaced.values())
    every = dict(cell.named_parameters())
    weights = {name: part for name, part in every.items() if name not in replaced}

    def compute(given: Sequence[Tensor], parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
        count = 1 + len(carry)
        named = zip((*names, *weights), (*given[count:], *parameters), strict=True)
        states, after = _loop(cell, given[0], tuple(given[1:count]), dict(named))
        return (states, *after)

    owned = list(weights.values())
    replays, addresses = _replays(cell), _addresses((*every.values(), *tensors))
    if addresses is None:
        return _loop(cell, inputs, carry, replaced)
    replays.forget_if_moved(addresses[: len(every)])
    slot = replays.find(compute, tensors, owned, (cell.training, *names))
    if slot is None:
        return _loop(cell, inputs, carry, replaced)
    states, *after = _Replay.apply(slot, len(tensors), *tensors, *owned)  # type: ignore[no-untyped-call]
    return states, tuple(after)


def _loop(
    cell: nn.Module, inputs: Tensor, carry: Carry, replaced: dict[str, Tensor]
) -> tuple[Tensor, Carry]:
    found: tuple[Tensor, Carry] = functional_call(cell, replaced, (inputs, carry))
    return found


def _can_replay(cell: nn.Module, device: torch.device, num_steps: int) -> bool:
    """Whether a call of this cell may be replayed without a difference."""
    return (
        device.type == "cuda"
        and num_steps >= ENOUGH_STEPS
        and _is_enabled.get()
        and getattr(cell, "is_recordable", False)
        and not torch.cuda.is_current_stream_capturing()
        # A resumed training has to begin with the same kernels as the one that it resumes.
        and not torch.are_deterministic_algorithms_enabled()
        and not torch.is_anomaly_enabled()
        and not any(map(is_hooked, cell.modules()))
        and next(cell.buffers(), None) is None  # a cell may assign another tensor
    )


class Slot:
    """A recording, and the ticket of the call whose gradient it can compute."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._is_zero = [True] * len(recording.of_outputs)
        self._last: weakref.ref[_Ticket] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the gradient of the last call is still to come."""
        ticket = self._ticket
        return ticket is not None and not ticket.is_used

    @property
    def _ticket(self) -> "_Ticket | None":
        return None if self._last is None else self._last()

    def forward(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], "_Ticket"]:
        """Returns copies of the outputs, and a ticket for their gradient."""
        for static, given in zip(self.recording.inputs, inputs, strict=True):
            static.copy_(given)
        self.recording.forward()
        ticket = _Ticket()
        self._last = weakref.ref(ticket)
        return tuple(output.detach().clone() for output in self.recording.outputs), ticket

    def backward(
        self, ticket: "_Ticket", of_outputs: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """Returns copies of the gradients of inputs and weights."""
        if ticket is not self._ticket:
            raise RuntimeError(
                "a backward pass ran twice through a recurrent layer, which has been called again "
                "in between and no longer has the states of that call; run both backward passes "
                "before the next call, or call the layer within "
                "pipeline.encoders.kernels.replay.plain_loops()"
            )
        for index, given in enumerate(of_outputs):
            static = self.recording.of_outputs[index]
            if static is None or (given is None and self._is_zero[index]):
                continue
            self._is_zero[index] = given is None
            static.zero_() if given is None else static.copy_(given)
        self.recording.backward()
        ticket.is_used = True
        # Copies: a parameter may take a gradient without copying it, and the next replay would
        # then overwrite what has been accumulated.
        found = self.recording.gradients
        return [None if gradient is None else gradient.clone() for gradient in found]


class _Ticket:
    """Stands for one call; exists as long as its gradient can be asked for."""

    is_used = False


class Replays:
    """The recordings of one cell, by shapes and settings."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._slots: dict[Hashable, Slot] = {}
        self._calls: Counter[Hashable] = Counter()
        self._addresses: tuple[int, ...] = ()
        self._failed = False

    def find(
        self,
        compute: Compute,
        inputs: Sequence[Tensor],
        weights: Sequence[Tensor],
        settings: Hashable,
    ) -> Slot | None:
        """Returns a slot for one call, or None if it should run as a loop."""
        if self._failed:
            return None
        key = (settings, _key(inputs, weights))
        slot = self._slots.get(key)
        if slot is None and self._is_frequent(key) and len(self._slots) < MOST_SHAPES:
            slot = self._recorded(compute, inputs, weights)
            if slot is not None:
                self._slots[key] = slot
        return None if slot is None or slot.is_busy else slot

    def forget_if_moved(self, addresses: tuple[int, ...]) -> None:
        """Forgets all recordings if a weight is at another address, for example after `.to()`."""
        if addresses != self._addresses:
            self._slots.clear()
            self._calls.clear()
            self._addresses = addresses

    def _is_frequent(self, key: Hashable) -> bool:
        if len(self._calls) > _MOST_COUNTED:
            self._calls.clear()
        self._calls[key] += 1
        return self._calls[key] > CALLS_BEFORE

    def _recorded(
        self, compute: Compute, inputs: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> Slot | None:
        try:
            return Slot(self._record(compute, inputs, weights))
        except RuntimeError as error:
            self._failed = True
            first = str(error).partition("\n")[0]
            print_note(f"a recurrent layer runs step by step, since it cannot be recorded: {first}")
            return None


_REPLAYS: weakref.WeakKeyDictionary[nn.Module, Replays] = weakref.WeakKeyDictionary()


def _replays(cell: nn.Module) -> Replays:
    """Returns the recordings of a cell, which are neither copied nor saved with it."""
    if cell not in _REPLAYS:
        _REPLAYS[cell] = Replays(record_cuda)
    return _REPLAYS[cell]


def _addresses(tensors: Sequence[Tensor]) -> tuple[int, ...] | None:
    """Returns where tensors are; None within `torch.func`, whose tensors have no address."""
    try:
        return tuple(tensor.data_ptr() for tensor in tensors)
    except RuntimeError:
        return None


def _key(inputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Hashable:
    """Returns everything but values and addresses that a recording depends on."""
    tracks = torch.is_grad_enabled()
    return (
        tuple((part.shape, part.dtype, part.device) for part in inputs),
        tuple(tracks and part.requires_grad for part in (*inputs, *weights)),
        tracks,
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda"),
        torch.get_float32_matmul_precision(),
    )


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, slot: Slot, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        outputs, ctx.ticket = slot.forward(tensors[:count])
        ctx.slot = slot
        ctx.set_materialize_grads(False)
        # Not to compute with them: autograd then reports weights that change before `backward`.
        ctx.save_for_backward(*tensors[count:])
        pairs = zip(outputs, slot.recording.of_outputs, strict=True)
        ctx.mark_non_differentiable(*(output for output, gradient in pairs if gradient is None))
        return outputs

    @staticmethod
    def backward(ctx: Any, *of_outputs: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a recorded recurrent layer has no second derivative, but create_graph=True "
                "requires one; omit it, or call the layer within "
                "pipeline.encoders.kernels.replay.plain_loops()"
            )
        _ = ctx.saved_tensors
        return None, None, *ctx.slot.backward(ctx.ticket, of_outputs)
