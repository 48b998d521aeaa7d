"""Batches for a GPU, prepared in a background thread."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

_T = TypeVar("_T")


class Prefetch:
    """A `map` that computes the next results in a thread and copies their tensors to pinned memory.

    From pinned memory Lightning copies a batch to the GPU without making the host wait. Order and
    results are those of `map`. An exception is raised where its result would have been returned,
    and the thread ends with the iteration, also if that is stopped early.

    Args:
        device: CUDA device that the results will be copied to.
        num_ahead: Number of results that are prepared while one is in use.

    Example:
        >>> prefetch = Prefetch(torch.device("cuda", 0))
        >>> batches = prefetch(lambda index: torch.full((2,), index), range(3))
        >>> [batch.is_pinned() for batch in batches]  # doctest: +SKIP
        [True, True, True]
    """

    def __init__(self, device: torch.device, num_ahead: int = 2) -> None:
        self.device, self.num_ahead = device, num_ahead

    def __call__(self, function: Callable[[int], _T], indices: Iterable[int], /) -> Iterator[_T]:
        """Yields `function(index)` for each index."""
        # Without `set_device` the thread would allocate memory on the first GPU in every process.
        thread = ThreadPoolExecutor(1, "batches", torch.cuda.set_device, (self.device,))
        waiting: deque[Future[_T]] = deque()
        try:
            for index in indices:
                waiting.append(thread.submit(_prepared, function, index))
                if len(waiting) > self.num_ahead:
                    yield waiting.popleft().result()
            thread.shutdown(wait=False)  # it ends after the last result
            while waiting:
                yield waiting.popleft().result()
        finally:
            thread.shutdown(cancel_futures=True)


def _prepared(function: Callable[[int], Any], index: int) -> Any:  # noqa: ANN401 (a batch)
    return apply_to_collection(function(index), Tensor, _pin)


def _pin(tensor: Tensor) -> Tensor:
    return tensor.pin_memory()
