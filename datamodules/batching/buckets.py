"""Batches of rows of similar length, divided among ranks."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.batching.resumable import ResumableBatches

_Ints: TypeAlias = npt.NDArray[np.int64]

# Shuffling perturbs lengths by up to this fraction. Padded / real tokens on MPQA: 1.04; in random
# order 2.4.
_NOISE = 0.1


class BatchShare(NamedTuple):
    """The part of a batch that one rank processes."""

    rows: list[int]  # empty if the batch has fewer rows than there are ranks
    num_rows: int  # of the batch over all ranks
    num_tokens: int  # of the batch over all ranks, without padding


class EpochSampler(Protocol):
    """Selects the rows of an epoch, of which there are `size`."""

    size: int

    def __call__(self, random: np.random.Generator) -> _Ints:
        """Draws the row indices of one epoch, int64 [size]."""


class Buckets(ResumableBatches[BatchShare]):
    """Divides rows into batches of similar length; each row occurs once per epoch.

    Rows are sorted by length, longest first, and divided into batches of `batch_size` over all
    ranks. The `unit` is "sentences", or "tokens" including padding (length of the longest row times
    number of rows). A row that is longer than a batch of tokens becomes a batch of its own.

    Shuffling permutes the batches, and the rows whose lengths are close: equal lengths if `unit` is
    "tokens", lengths that differ by up to 10 % if it is "sentences". The number of batches is
    therefore the same in every epoch, and the order depends only on `seed` and the epoch. A
    `sampler` selects the rows of each epoch; it requires `shuffle` and the unit "sentences".

    Each rank gets every `world_size`-th row of each batch: the k-th batches of all ranks together
    are the k-th batch of a single process.

    The epoch and the position are read when the first batch is requested, because Lightning creates
    the iterator before `set_epoch` is called. A `ValueError` is raised if `batch_size` or a length
    is below 1.

    Example:
        >>> buckets = Buckets(lengths=[3, 9, 4, 8], batch_size=2, shuffle=False, seed=1)
        >>> [batch.rows for batch in buckets]
        [[1, 3], [2, 0]]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        unit: Literal["sentences", "tokens"] = "sentences",
        *,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        sampler: EpochSampler | None = None,
    ) -> None:
        super().__init__()
        self._lengths: _Ints = np.asarray(lengths, dtype=np.int64)
        if batch_size < 1 or (self._lengths < 1).any():
            raise ValueError(f"batch_size and all lengths must be at least 1, got {batch_size=}")
        self._noise = _NOISE if unit == "sentences" else 0.0
        # With batches of tokens the number of batches would change between epochs.
        assert sampler is None or (shuffle and unit == "sentences")
        size = len(self._lengths) if sampler is None else sampler.size
        self._sampler = sampler
        self._cuts = _cuts(np.sort(self._lengths)[::-1][:size], batch_size, unit)
        self._shuffle, self._seed = shuffle, seed
        self._rank, self._world_size = rank, world_size
        self.epoch = 0

    def __len__(self) -> int:
        """Returns the number of batches in an epoch, the same on every rank."""
        return len(self._cuts) - 1

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next batches, counted from 0; keeps the position."""
        self.epoch = epoch

    def _epoch(self) -> Callable[[int], BatchShare]:
        batches = self._batches()

        def share(index: int) -> BatchShare:
            batch = batches[index]
            rows = batch[self._rank :: self._world_size].tolist()
            return BatchShare(rows, len(batch), int(self._lengths[batch].sum()))

        return share

    def _batches(self) -> list[_Ints]:
        if not self._shuffle:
            return self._cut(np.argsort(-self._lengths, kind="stable"))
        random = np.random.default_rng((self._seed, self.epoch))
        drawn = None if self._sampler is None else self._sampler(random)
        shuffled = random.permutation(len(self._lengths) if drawn is None else drawn)
        noisy = self._lengths[shuffled] * (1 + self._noise * random.random(len(shuffled)))
        batches = self._cut(shuffled[np.argsort(-noisy, kind="stable")])
        return [batches[index] for index in random.permutation(len(batches))]

    def _cut(self, order: _Ints) -> list[_Ints]:
        return [order[start:end] for start, end in pairwise(self._cuts)]


def _cuts(lengths: _Ints, batch_size: int, unit: str) -> list[int]:
    """Returns the bounds of batches in lengths that are sorted, longest first."""
    cuts = [0]
    while cuts[-1] < len(lengths):
        count = batch_size if unit == "sentences" else batch_size // int(lengths[cuts[-1]])
        cuts.append(min(len(lengths), cuts[-1] + max(1, count)))
    return cuts
