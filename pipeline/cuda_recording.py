"""A loss and its gradients, recorded as CUDA graphs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

TupleLoss: TypeAlias = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


class CudaRecording:
    """A loss recorded as two CUDA graphs, one for each pass (a `Recording`).

    Args:
        loss: Function of a tuple of tensors.
        inputs: Example of its inputs.
        weights: Tensors whose gradients are wanted.
    """

    _pool: Any = None  # all recordings share memory, because they never run at the same time

    def __init__(
        self, loss: TupleLoss, inputs: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> None:
        if CudaRecording._pool is None:
            CudaRecording._pool = torch.cuda.graph_pool_handle()
        self.inputs = tuple(each.detach().clone() for each in inputs)
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        random_state = torch.cuda.get_rng_state()
        try:
            self._warm_up(loss, weights, stream)
            self._record(loss, weights, stream)
        except RuntimeError:
            _replace_generator(random_state)
            raise
        torch.cuda.set_rng_state(random_state)

    def forward(self) -> None:
        """Computes `outputs` from `inputs`."""
        self._forward.replay()

    def backward(self) -> None:
        """Computes `gradients` from `gradient`."""
        self._backward.replay()

    def _warm_up(
        self, loss: TupleLoss, weights: Sequence[Tensor], stream: torch.cuda.Stream
    ) -> None:
        """Runs once, because libraries allocate memory at the first use of a stream."""
        stream.wait_stream(torch.cuda.current_stream())
        with _uncached_autocast(), torch.cuda.stream(stream):
            torch.autograd.grad(loss(self.inputs)[0], weights, allow_unused=True)
        torch.cuda.current_stream().wait_stream(stream)

    def _record(
        self, loss: TupleLoss, weights: Sequence[Tensor], stream: torch.cuda.Stream
    ) -> None:
        # Other threads, such as one that prepares batches, may allocate meanwhile.
        record = partial(
            torch.cuda.graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
        )
        with _uncached_autocast(), record(self._forward):
            outputs = loss(self.inputs)
        self.gradient = torch.ones_like(outputs[0])
        with record(self._backward):
            self.gradients = torch.autograd.grad(
                outputs[0], weights, self.gradient, allow_unused=True
            )
        self.outputs = tuple(each.detach() for each in outputs)


def _uncached_autocast() -> torch.autocast:
    """Returns the current autocast without its cache, whose tensors would outlive a recording."""
    return torch.autocast(
        "cuda",
        torch.get_autocast_dtype("cuda"),
        torch.is_autocast_enabled("cuda"),
        cache_enabled=False,
    )


def _replace_generator(state: Tensor) -> None:
    """Gives the generator of the GPU a new state: a failed recording makes the old one unusable."""
    new = torch.Generator("cuda")
    new.set_state(state)
    torch.cuda.default_generators[torch.cuda.current_device()].graphsafe_set_state(new)
