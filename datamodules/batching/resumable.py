"""Iterables of batches that can resume in the middle of an epoch."""

import abc
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

Batch_co = TypeVar("Batch_co", covariant=True)
_T = TypeVar("_T")


class LazyMap(Protocol):
    """The built-in `map`, or a function that computes the next results ahead of time."""

    def __call__(self, function: Callable[[int], _T], indices: Iterable[int], /) -> Iterator[_T]:
        """Yields `function(index)` for each index, in order."""


class ResumableBatches(abc.ABC, Generic[Batch_co]):
    """An iterable of batches that can resume in the middle of an epoch.

    Iteration starts at batch 0, or once at the `position` that was assigned. An iteration that is
    stopped early does not affect the start of the next one.

    Attributes:
        map: Computes the batches from their indices. It may run ahead of `position`.
    """

    _noun = "batches"
    map: LazyMap

    def __init__(self) -> None:
        self._position = self._first = 0
        self.map = map

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of batches in an epoch, which is constant and equal on all ranks."""

    @abc.abstractmethod
    def _epoch(self) -> Callable[[int], Batch_co]:
        """Returns a function from the index of a batch to the batch.

        It is called when iteration begins, so the function may depend on the epoch.
        """

    @property
    def position(self) -> int:
        """Index of the next batch: k + 1 while batch k is in use, 0 while the last one is in use.

        Assigning it sets the start of the next iteration. A `ValueError` is raised if the assigned
        index is not below `len(self)`.
        """
        return self._position

    @position.setter
    def position(self, batch: int) -> None:
        if not 0 <= batch < len(self):
            raise ValueError(f"{self._noun} are numbered 0 to {len(self) - 1}, got {batch}")
        self._position = self._first = batch

    def __iter__(self) -> Iterator[Batch_co]:
        return self.converted(_same)

    def converted(self, convert: Callable[[Batch_co], _T]) -> Iterator[_T]:
        """Yields `convert(batch)` for each batch; `map` computes the batch and its conversion."""
        first, self._first = self._first, 0  # when the first batch is requested, not before
        batch_of = self._epoch()
        indices = range(first, len(self))
        results = self.map(lambda index: convert(batch_of(index)), indices)
        for index, result in zip(indices, results, strict=True):
            self._position = (index + 1) % len(self)
            yield result


def _same(value: _T) -> _T:
    return value
