"""Replays of recorded computations, in which the host launches nothing but the replay.

A recurrent network runs hundreds of kernels that each take less time than their launch, so that the
host sets the speed of a GPU. Recorded as CUDA graphs, forward and backward pass take one launch
each, and one copy for each tensor that goes in or out.
"""

import contextlib
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from pipeline.console import print_note
from pipeline.cuda_graphs.recording import Compute, Recording, record_cuda

Record: TypeAlias = Callable[[Compute, Sequence[Tensor], Sequence[Tensor]], Recording]

CALLS_BEFORE = 2  # plain calls of a shape before it is recorded, so that rare shapes cost nothing
MOST_SHAPES = 16  # recorded for each module; each keeps the memory of a forward and backward pass
_MOST_COUNTED = 1000

_is_enabled = ContextVar("is_enabled", default=False)


@contextlib.contextmanager
def cuda_graphs(enabled: bool) -> Iterator[None]:
    """Context that records and replays on GPUs, or does not, which is the default.

    Example:
        >>> import torch
        >>> from pipeline.encoders import SLSTM
        >>> with cuda_graphs(True):
        ...     states = SLSTM(3, 4)(torch.zeros(1, 5, 3)).states  # as usual on a CPU
    """
    token = _is_enabled.set(enabled)
    try:
        yield
    finally:
        _is_enabled.reset(token)


def can_replay(owner: nn.Module, device: torch.device) -> bool:
    """Returns whether calls of a module on this device may be recorded and replayed."""
    return (
        device.type == "cuda"
        and not torch.compiler.is_compiling()
        and _is_enabled.get()
        and not torch.cuda.is_current_stream_capturing()
        # A resumed training has to begin with the same kernels as the one that it resumes.
        and not torch.are_deterministic_algorithms_enabled()
        and not torch.is_anomaly_enabled()
        and not any(map(is_hooked, owner.modules()))
    )


def replay(
    owner: nn.Module,
    compute: Compute,
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    settings: Hashable,
) -> tuple[Tensor, ...] | None:
    """Returns `compute(inputs, weights)` from a recording; None if it has to be computed plainly.

    `can_replay` must be true. A computation is recorded at the third call with the same shapes and
    settings. Its gradients cannot be differentiated again.

    Args:
        owner: Module whose parameters and buffers the computation reads; it keeps the recordings.
        compute: Computation on the device only, the same one in all calls with equal settings.
        inputs: Tensors that change between calls.
        weights: Parameters that receive gradients, or tensors instead of them.
        settings: Everything else on which the computation depends.
    """
    own = [*owner.parameters(), *owner.buffers()]
    addresses = _addresses((*own, *inputs))
    if addresses is None:
        return None
    replays = _replays(owner)
    replays.forget_if_moved(addresses[: len(own)])
    slot = replays.find(compute, inputs, weights, settings)
    if slot is None:
        return None
    outputs: tuple[Tensor, ...] = _Replay.apply(slot, len(inputs), *inputs, *weights)  # type: ignore[no-untyped-call]
    return outputs


def is_hooked(module: nn.Module) -> bool:
    """Returns whether a module has hooks, or a `forward` that was replaced on the instance."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__  # replaced on the instance, as `record_steps` does
    )


def forget(owner: nn.Module) -> None:
    """Forgets the recordings of a module."""
    _REPLAYS.pop(owner, None)


class Slot:
    """A recording, and the ticket of the call whose gradient it can compute."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._is_zero = [True] * len(recording.of_outputs)
        self._last: weakref.ref[_Ticket] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the backward pass of the last call has not run yet."""
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
                "a backward pass ran twice through a recorded computation, which has been called "
                "again in between and no longer has the results of that call; run both backward "
                "passes before the next call, or leave CUDA graphs off (--cuda_graphs=false)"
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
    """The recordings of one module, by shapes and settings."""

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
        """Returns a slot for one call, or None if it should be computed plainly."""
        if self._failed:
            return None
        key = (settings, _key(inputs, weights))
        slot = self._slots.get(key)
        if slot is None and self._is_frequent(key) and len(self._slots) < MOST_SHAPES:
            slot = self._recorded(compute, inputs, weights)
            if slot is not None:
                self._slots[key] = slot
        return None if slot is None or slot.is_busy else slot

    def clear(self) -> None:
        """Forgets all recordings."""
        self._slots.clear()
        self._calls.clear()

    def forget_if_moved(self, addresses: tuple[int, ...]) -> None:
        """Forgets all recordings if a weight is at another address, for example after `.to()`."""
        if addresses != self._addresses:
            self.clear()
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
            # Their memory may be what was missing, and the generator of random numbers that they
            # draw from is a new one now.
            for replays in _REPLAYS.values():
                replays.clear()
            self.clear()
            first = str(error).partition("\n")[0]
            print_note(f"computing without CUDA graphs, because recording one failed: {first}")
            return None


_REPLAYS: weakref.WeakKeyDictionary[nn.Module, Replays] = weakref.WeakKeyDictionary()


def _replays(owner: nn.Module) -> Replays:
    """Returns the recordings of a module, which are neither copied nor saved with it."""
    if owner not in _REPLAYS:
        _REPLAYS[owner] = Replays(record_cuda)
    return _REPLAYS[owner]


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
                "a recorded computation has no second derivative, but create_graph=True requires "
                "one; omit it, or leave CUDA graphs off (--cuda_graphs=false)"
            )
        _ = ctx.saved_tensors
        return None, None, *ctx.slot.backward(ctx.ticket, of_outputs)
