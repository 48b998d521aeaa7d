"""Batches that have numbers, so that an epoch can be gone on with."""

import abc
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Batch_co = TypeVar("Batch_co", covariant=True)


class Numbered(abc.ABC, Generic[Batch_co]):
    """The batches of an epoch, one after the other.

    Iterating starts from batch 0, or once from the `position` that was set; iterating that was
    broken off does not move the next start.
    """

    _noun = "batches"

    def __init__(self) -> None:
        self._position = self._first = 0

    @abc.abstractmethod
    def __len__(self) -> int:
        """Gives the number of batches in an epoch, the same in each and on every rank."""

    @abc.abstractmethod
    def _epoch(self) -> Callable[[int], Batch_co]:
        """Called as iterating begins; gives what makes a batch from its number."""

    @property
    def position(self) -> int:
        """The batch that comes next: while batch k is in use k + 1, and 0 while the last one is.

        Set, it is where the next iteration starts.

        Raises:
            ValueError: set to a batch that there is not.
        """
        return self._position

    @position.setter
    def position(self, batch: int) -> None:
        if not 0 <= batch < len(self):
            raise ValueError(f"the {self._noun} are 0 to {len(self) - 1}, got position {batch}")
        self._position = self._first = batch

    def __iter__(self) -> Iterator[Batch_co]:
        first, self._first = self._first, 0  # not before a batch is asked for
        batch_of = self._epoch()
        for index in range(first, len(self)):
            self._position = (index + 1) % len(self)
            yield batch_of(index)
