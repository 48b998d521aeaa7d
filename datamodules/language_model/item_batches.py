"""Batches of independent items, one per row."""

from collections.abc import Callable

import numpy as np
import torch

from datamodules.batching.resumable import ResumableBatches
from datamodules.language_model.corpus import Ids
from pipeline.batches import IGNORE_INDEX, StreamWindow, column_share
from pipeline.errors import InputError


class ItemBatches(ResumableBatches[StreamWindow]):
    """Batches of whole items, each of which starts after an `<eos>` with an initial carry.

    The carry is reset because the next window of a batch "rereads" all of it. Items keep their
    order in the text, where each one ends with `<eos>`; the sizes of batches, which are over all
    ranks, differ by one item at most. Raises `InputError`, with the `source` of the items, if
    `batch_size` is below 1 or a batch has fewer items than there are processes.

    Example:
        >>> text = np.array([5, 6, 0, 7, 0], dtype=np.int32)  # two items; 0 is <eos>
        >>> next(iter(ItemBatches(text, eos_id=0, batch_size=2))).targets.tolist()
        [[5, 6, 0], [7, 0, -100]]
    """

    def __init__(
        self,
        ids: Ids,
        eos_id: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        source: str = "the list",
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        ends = np.flatnonzero(np.asarray(ids) == eos_id) + 1
        self._ids, self._eos_id = ids, eos_id
        self._starts, self._ends = np.concatenate(([0], ends[:-1])), ends
        num_batches = -(-len(ends) // batch_size)
        self._bounds = np.arange(num_batches + 1) * len(ends) // num_batches
        if (fewest := int(np.diff(self._bounds).min())) < world_size:
            raise InputError(
                f"a batch of {fewest} items of {source} cannot be divided among {world_size} "
                "processes, one item at least for each; raise batch_size or use fewer devices"
            )
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Returns the number of batches in an epoch."""
        return len(self._bounds) - 1

    def _epoch(self) -> Callable[[int], StreamWindow]:
        bounds = self._bounds
        return lambda index: self._batch(int(bounds[index]), int(bounds[index + 1]))

    def _batch(self, first: int, end: int) -> StreamWindow:
        share = column_share(end - first, self._rank, self._world_size)
        rows = range(first, end)[share]
        items = [self._ids[self._starts[row] : self._ends[row]] for row in rows]
        targets = np.full((len(items), max(map(len, items))), IGNORE_INDEX, dtype=np.int64)
        tokens = np.full_like(targets, self._eos_id)
        for row, item in enumerate(items):
            targets[row, : len(item)] = item
            tokens[row, 1 : len(item)] = item[:-1]
        return StreamWindow(
            torch.from_numpy(tokens),
            torch.from_numpy(targets),
            float(self._ends[end - 1] - self._starts[first]) / self._world_size,
            reread_next=tokens.shape[1],
            afresh=True,
        )
