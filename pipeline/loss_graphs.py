"""CUDA graphs of a training loss: one launch for the forward pass and one for the backward pass.

A recurrent network of the usual size keeps a GPU busy for a fifth of the time: the host cannot
launch its hundreds of small kernels fast enough. A CUDA graph is a recording of these launches,
which the GPU repeats without the host.
"""

import weakref
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.console import print_note
from pipeline.cuda_recording import CudaRecording

Loss: TypeAlias = Callable[..., tuple[Tensor, ...]]

_RUNS_BEFORE = 2
"""Number of plain runs of a shape before it is recorded, so that rare shapes cost nothing."""


def is_recordable(*parts: object) -> bool:
    """Whether a loss computed by these parts may be recorded.

    A recording repeats what the device does and nothing that the host does, such as drawing a
    number or reading a value. That is harmless for all modules of torch and of this package that do
    not say otherwise; a class of yours is recorded if it has the attribute `is_recordable = True`.
    """
    modules = [m for part in parts if isinstance(part, nn.Module) for m in part.modules()]
    others = [part for part in parts if part is not None and not isinstance(part, nn.Module)]
    return all(
        getattr(each, "is_recordable", type(each).__module__.split(".")[0] in ("pipeline", "torch"))
        for each in (*modules, *others)
    )


class Recording(Protocol):
    """A recorded loss: `forward` and `backward` read and write the same tensors in every run."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Tensors that `forward` reads."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """The loss [] and tensors without a gradient."""

    @property
    def gradient(self) -> Tensor:
        """Gradient of the loss, [], which `backward` reads."""

    @property
    def gradients(self) -> Sequence[Tensor | None]:
        """Gradients of the parameters; None for one that the loss does not read."""

    def forward(self) -> None:
        """Computes `outputs` from `inputs`."""

    def backward(self) -> None:
        """Computes `gradients` from `gradient`, after `forward`."""


class LossGraphs:
    """Computes a loss of a module, with CUDA graphs as soon as the same shapes come again.

    The first runs of each shape, and all runs on other devices, without gradients, in evaluation
    mode or with hooks on a module, are plain calls. So is a second forward pass before the backward
    pass of the first one, because a recording has only one set of intermediate results. Random
    numbers are drawn as in plain calls.

    Args:
        module: Module whose parameters receive gradients.
        limit: Maximum number of recordings; further shapes are always computed plainly.

    Attributes:
        enabled: Whether recordings are used.

    Example:
        >>> linear = nn.Linear(2, 1)
        >>> graphs = LossGraphs(linear)
        >>> loss, states = graphs(lambda x: (linear(x).sum(), x), torch.ones(1, 2))  # on a CPU
        >>> loss.requires_grad
        True
    """

    enabled: bool = True

    def __init__(self, module: nn.Module, limit: int = 64) -> None:
        self._module, self._limit = module, limit
        self._device = "cuda"
        self._make_recording: Callable[..., Recording] = CudaRecording
        self._runs: dict[Hashable, int] = {}
        self._replays: dict[Hashable, _Replay] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the recordings, which cannot be copied."""
        return {**self.__dict__, "_runs": {}, "_replays": {}}

    def __call__(self, loss: Loss, *inputs: Tensor, constants: Hashable = ()) -> tuple[Tensor, ...]:
        """Returns the outputs of `loss(*inputs)`.

        Args:
            loss: Function that returns the loss [] and tensors without a gradient. It must not make
                the host wait for the device, or read anything that changes between calls besides
                inputs and parameters.
            inputs: Tensors without a gradient.
            constants: All numbers and switches that `loss` reads.
        """
        if not self._can_record(inputs):
            return loss(*inputs)
        parameters = [each for each in self._module.parameters() if each.requires_grad]
        key = (constants, _form(inputs), _autocast(), torch.are_deterministic_algorithms_enabled())
        replay = self._replays.get(key)
        if replay is None or not replay.reads(parameters):
            replay = self._record(key, loss, inputs, parameters)
        if replay is None or replay.is_pending:
            return loss(*inputs)
        return replay(inputs)

    def _can_record(self, inputs: Sequence[Tensor]) -> bool:
        return (
            self.enabled
            and all(each.device.type == self._device for each in inputs)
            and self._module.training
            and torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and not _is_capturing()
            and not any(map(_is_hooked, self._module.modules()))
        )

    def _record(
        self, key: Hashable, loss: Loss, inputs: Sequence[Tensor], parameters: list[nn.Parameter]
    ) -> "_Replay | None":
        self._replays.pop(key, None)
        self._runs[key] = self._runs.get(key, 0) + 1
        if self._runs[key] <= _RUNS_BEFORE or len(self._replays) >= self._limit:
            return None
        # Other tensors for the same weights: autograd would tie the parameters themselves to the
        # stream of an earlier step, which a recording must not touch.
        names = {id(each): name for name, each in self._module.named_parameters(prefix="module")}
        weights = {names[id(each)]: each.detach().requires_grad_() for each in parameters}
        call = partial(functional_call, _Call(self._module, loss), weights)
        try:
            recording = self._make_recording(call, inputs, list(weights.values()))
        except RuntimeError as error:
            self.enabled = False
            print_note(
                "training continues without CUDA graphs, because recording one failed: "
                + str(error).splitlines()[0]
            )
            return None
        self._replays[key] = _Replay(recording, parameters)
        return self._replays[key]


class _Call(nn.Module):
    """Calls a loss of a module, so that `functional_call` can replace the module's parameters."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns the loss."""
        return self.loss(*inputs)


class _Replay:
    """Runs a recording as one node of the autograd graph."""

    def __init__(self, recording: Recording, parameters: list[nn.Parameter]) -> None:
        self.recording, self.parameters = recording, parameters
        self._addresses = [each.data_ptr() for each in parameters]
        self._node: weakref.ref[Any] | None = None

    def reads(self, parameters: list[nn.Parameter]) -> bool:
        """Whether the recording reads exactly these parameters, at their current addresses."""
        return [each.data_ptr() for each in parameters] == self._addresses

    @property
    def is_pending(self) -> bool:
        """Whether the backward pass of the last run can still follow."""
        return self._node is not None and self._node() is not None

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = _Run.apply(self, *inputs, *self.parameters)  # type: ignore[no-untyped-call]
        self._node = weakref.ref(outputs[0].grad_fn)
        return outputs

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Runs the forward pass and copies its outputs."""
        for target, given in zip(self.recording.inputs, inputs, strict=True):
            target.copy_(given)
        self.recording.forward()
        return tuple(each.detach().clone() for each in self.recording.outputs)

    def backward(self, gradient: Tensor) -> list[Tensor | None]:
        """Runs the backward pass; the gradients are overwritten by the next one."""
        gradients = self.recording.gradients
        for parameter, own in zip(self.parameters, gradients, strict=True):
            # Autograd makes a tensor that it is given the gradient of a parameter, without a copy.
            held = parameter.grad
            if own is not None and held is not None and held.data_ptr() == own.data_ptr():
                parameter.grad = held.clone()
        self.recording.gradient.copy_(gradient)
        self.recording.backward()
        self._node = None
        return [None if each is None else each.detach() for each in gradients]


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, replay: _Replay, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        ctx.replay, ctx.num_inputs = replay, len(tensors) - len(replay.parameters)
        outputs = replay.forward(tensors[: ctx.num_inputs])
        ctx.mark_non_differentiable(*outputs[1:])
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("a loss computed by a CUDA graph cannot be differentiated twice")
        return (None, *[None] * ctx.num_inputs, *ctx.replay.backward(gradient))


def _is_capturing() -> bool:
    is_started: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return is_started and torch.cuda.is_current_stream_capturing()


def _form(inputs: Sequence[Tensor]) -> Hashable:
    return tuple((each.shape, each.dtype) for each in inputs)


def _autocast() -> Hashable:
    return torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")


def _is_hooked(module: nn.Module) -> bool:
    """Whether a hook or a replaced `forward` needs this module to be called itself."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )
