"""Sentences of like lengths in batches, shared by all ranks."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.batching.resumable import Numbered

_Ints: TypeAlias = npt.NDArray[np.int64]

_NOISE = 0.1  # of a length, at most; padded to real tokens on MPQA: 1.04, in random order 2.4


class Share(NamedTuple):
    """What one rank gets of a batch.

    Attributes:
        rows: its sentences, as indices into `lengths`; none where a batch has fewer sentences than
            there are ranks.
        num_rows: sentences of the batch over all ranks.
        num_tokens: tokens of the batch over all ranks, padding excluded.
    """

    rows: list[int]
    num_rows: int
    num_tokens: int


class EpochSampler(Protocol):
    """Chooses the rows of each epoch."""

    size: int
    """Number of rows in an epoch."""

    def __call__(self, random: np.random.Generator) -> _Ints:
        """Returns the indices of the rows of one epoch [size]."""


class Buckets(Numbered[Share]):
    """Cuts sentences into batches of like lengths; each sentence comes once in an epoch.

    The sentences are sorted by length, the longest first, and cut where they stand. To shuffle is
    to draw the order of batches, and the order of sentences within reach of each other: those of
    equal length where a batch is so many tokens; those that differ in length by a tenth where it is
    so many sentences. So the number of batches is the same in every epoch, and the order is a
    function of `seed` and the epoch alone.

    Each rank gets a share of each batch, every `world_size`-th sentence: the k-th batches of all
    ranks are together the k-th batch of a single process.

    Epoch and position are read when the first batch is asked for, so that an iterator may be made
    before `set_epoch` is called, as Lightning does.

    Args:
        lengths: tokens of each sentence.
        batch_size: of all ranks together, in `unit`.
        unit: "sentences"; or "tokens", padding included: the longest sentence's times the
            sentences. A sentence that is longer than a batch of tokens is a batch of its own.
        shuffle: as told above; if false each epoch is the same, the longest sentences first.
        seed: of the shuffle.
        rank: this process.
        world_size: processes.
        sampler: Chooses the rows of each epoch; if omitted, each row occurs once. Requires
            `shuffle` and the unit "sentences".

    Attributes:
        epoch: the epoch whose batches come next.

    Raises:
        ValueError: `batch_size` or a length is below 1.
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
            raise ValueError(f"a batch and each sentence hold 1 or more, got {batch_size=}")
        self._noise = _NOISE if unit == "sentences" else 0.0
        assert sampler is None or (shuffle and unit == "sentences"), (
            "each epoch has as many batches"
        )
        size = len(self._lengths) if sampler is None else sampler.size
        self._sampler = sampler
        self._cuts = _cuts(np.sort(self._lengths)[::-1][:size], batch_size, unit)
        self._shuffle, self._seed = shuffle, seed
        self._rank, self._world_size = rank, world_size
        self.epoch = 0

    def __len__(self) -> int:
        """Gives the number of batches in an epoch, the same in each and on every rank."""
        return len(self._cuts) - 1

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from 0, whose batches come next; the position stays."""
        self.epoch = epoch

    def _epoch(self) -> Callable[[int], Share]:
        batches = self._batches()

        def share(index: int) -> Share:
            batch = batches[index]
            rows = batch[self._rank :: self._world_size].tolist()
            return Share(rows, len(batch), int(self._lengths[batch].sum()))

        return share

    def _batches(self) -> list[_Ints]:
        if not self._shuffle:
            return self._cut(np.argsort(-self._lengths, kind="stable"))
        random = np.random.default_rng((self._seed, self.epoch))
        sampled = None if self._sampler is None else self._sampler(random)
        shuffled = random.permutation(len(self._lengths) if sampled is None else sampled)
        noisy = self._lengths[shuffled] * (1 + self._noise * random.random(len(shuffled)))
        batches = self._cut(shuffled[np.argsort(-noisy, kind="stable")])
        return [batches[index] for index in random.permutation(len(batches))]

    def _cut(self, order: _Ints) -> list[_Ints]:
        return [order[start:end] for start, end in pairwise(self._cuts)]


def _cuts(lengths: _Ints, batch_size: int, unit: str) -> list[int]:
    """Gives where batches begin and end in lengths that are sorted, the longest first."""
    cuts = [0]
    while cuts[-1] < len(lengths):
        count = batch_size if unit == "sentences" else batch_size // int(lengths[cuts[-1]])
        cuts.append(min(len(lengths), cuts[-1] + max(1, count)))
    return cuts
