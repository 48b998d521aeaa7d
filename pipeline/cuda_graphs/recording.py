"""Records one computation and its gradient on a GPU as CUDA graphs, which are replayed at once."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

Compute: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, ...]]
"""Computes outputs from inputs and weights."""


@dataclass
class Recording:
    """A computation on tensors of fixed addresses, which `forward` and `backward` replay.

    Attributes:
        inputs: Copies of the inputs, which `forward` reads, besides the weights themselves.
        outputs: The tensors that `forward` writes.
        of_outputs: Gradients that `backward` reads, one per output; None for an output that
            requires none. They are zeros at first.
        gradients: Gradients that `backward` writes, of the inputs and then of the weights; None
            where none is required.
        forward: Computes `outputs`.
        backward: Computes `gradients`, of the last `forward`.
        kept: Whatever else the addresses belong to.
    """

    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]
    of_outputs: list[Tensor | None]
    gradients: list[Tensor | None]
    forward: Callable[[], None]
    backward: Callable[[], None]
    kept: Any = None


class Traced:
    """One ordinary run of a computation: its leaves and outputs, connected by autograd."""

    def __init__(
        self, compute: Compute, inputs: Sequence[Tensor], weights: Sequence[Tensor], tracks: bool
    ) -> None:
        # Leaves of this run alone: autocast keeps the rounded copies of leaves, so that a later run
        # would read those of an earlier one; and gradients of the parameters themselves run on the
        # stream that they were first used on, which is not the one that records.
        self.leaves = [
            tensor.detach().requires_grad_(tracks and tensor.requires_grad)
            for tensor in (*inputs, *weights)
        ]
        self.outputs = compute(self.leaves[: len(inputs)], self.leaves[len(inputs) :])

    def gradients(self, of_outputs: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Differentiates; the saved tensors stay, since their addresses are needed again."""
        roots = [output for output in self.outputs if output.requires_grad]
        wanted = [leaf for leaf in self.leaves if leaf.requires_grad]
        given = [gradient for gradient in of_outputs if gradient is not None]
        # A backward pass runs outside of autocast, also if it is recorded within.
        with torch.autocast(wanted[0].device.type, enabled=False):
            found = torch.autograd.grad(roots, wanted, given, retain_graph=True, allow_unused=True)
        rest = iter(found)
        return [next(rest) if leaf.requires_grad else None for leaf in self.leaves]


def static_copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns contiguous copies that require a gradient where `tensors` do."""
    return [
        tensor.detach()
        .clone(memory_format=torch.contiguous_format)
        .requires_grad_(torch.is_grad_enabled() and tensor.requires_grad)
        for tensor in tensors
    ]


def zeros_for(outputs: Sequence[Tensor]) -> list[Tensor | None]:
    """Returns a tensor of zeros for each output that requires a gradient."""
    return [torch.zeros_like(output) if output.requires_grad else None for output in outputs]


def record_cuda(compute: Compute, inputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Recording:
    """Records a computation, and its gradient if one is required, on the device of the inputs.

    The weights are read where they are, at each replay. Random numbers are drawn from torch's
    generator at each replay, and not while recording. The host waits for the device several times.
    Raises a RuntimeError if the computation cannot be recorded, for example because it reads a
    value on the host.
    """
    device = inputs[0].device
    state = torch.cuda.get_rng_state(device)
    try:
        recording = _record_cuda(compute, inputs, weights)
    except RuntimeError:
        _replace_generator(state, device)
        raise
    torch.cuda.set_rng_state(state, device)
    return recording


def _record_cuda(
    compute: Compute, inputs: Sequence[Tensor], weights: Sequence[Tensor]
) -> Recording:
    device = inputs[0].device
    # Also the context that restores the current stream if recording fails.
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
        copies, tracks = static_copies(inputs), torch.is_grad_enabled()
        _warm_up(compute, copies, weights)
        forward, backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        # A replay writes temporary results where another graph of the same pool may keep what its
        # gradient needs. Only graphs without a gradient, which keep nothing, can share a pool.
        pool = torch.cuda.graph_pool_handle() if tracks else _shared_pool(device)
        with _graph(forward, pool, device):
            traced = Traced(compute, copies, weights, tracks)
        of_outputs = zeros_for(traced.outputs)
        gradients: list[Tensor | None] = [None] * len(traced.leaves)
        if any(gradient is not None for gradient in of_outputs):
            with _graph(backward, pool, device):
                gradients = traced.gradients(of_outputs)
        return Recording(
            copies, traced.outputs, of_outputs, gradients, forward.replay, backward.replay, traced
        )


def _replace_generator(state: Tensor, device: torch.device) -> None:
    """Replaces the random state of a GPU, which is unusable after a failed recording."""
    new = torch.Generator(device)
    new.set_state(state)
    generators = torch.cuda.default_generators
    index = torch.cuda.current_device() if device.index is None else device.index
    generators[index].graphsafe_set_state(new)


def _warm_up(compute: Compute, inputs: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
    """Runs once on the stream that records, so that libraries are set up before recording."""
    stream = _stream(inputs[0].device)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        traced = Traced(compute, inputs, weights, torch.is_grad_enabled())
        zeros = zeros_for(traced.outputs)
        if any(gradient is not None for gradient in zeros):
            traced.gradients(zeros)
    torch.cuda.current_stream().wait_stream(stream)


def _graph(graph: torch.cuda.CUDAGraph, pool: Any, device: torch.device) -> torch.cuda.graph:  # noqa: ANN401
    # "thread_local": another thread may pin memory or wait for an event meanwhile.
    return torch.cuda.graph(
        graph, pool=pool, stream=_stream(device), capture_error_mode="thread_local"
    )


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return stream


@functools.cache
def _shared_pool(device: torch.device) -> Any:  # noqa: ANN401 (an opaque handle)
    return torch.cuda.graph_pool_handle()
