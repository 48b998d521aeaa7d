"""A list of items, one a line in a single file, as training, validation and test text."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch

from datamodules.batching.resumable import Numbered
from datamodules.batching.splits import fill_splits
from datamodules.batching.texts import Text
from datamodules.files.cache import cached
from datamodules.files.lines import read_lines
from datamodules.language_model.corpus import Ids
from pipeline.batches import IGNORE_INDEX, StreamWindow, column_share
from pipeline.errors import InputError

HELD_OUT = 0.1
"""The share of the distinct items that is held out to test, and of the others to validate."""
SEED = 1
"""Of the choice: the same whatever a run's seed, so that runs are tested on the same items."""
_FEWEST = 3  # one to train, one to validate, one to test
_FORMAT = 1  # raised when the same items would be split otherwise
_LARGEST = 100_000_000  # bytes; a list is held in memory


def read_items(path: Path) -> list[str]:
    """Reads a list, an item a line; blank lines and the white space around items are left out.

    Args:
        path: the file, in UTF-8.

    Raises:
        InputError: the file is too large for a list, or as `read_lines`.
    """
    if (size := path.stat().st_size) > _LARGEST:
        raise InputError(
            f"{path} has {size:,} bytes; a single file is read as a list of items (at most "
            f"{_LARGEST:,} bytes), and text is expected as a folder of train, valid and test files"
        )
    return [item for line in read_lines(path) if (item := line.strip())]


def items_folder(items: Sequence[str], what: str) -> Path:
    """Gives a folder of the cache with items as train.txt, valid.txt and test.txt.

    Copies of an item stay together, so that none is trained on and tested on. The training items
    are shuffled once: in a batch of an alphabetical list all would begin alike.

    Args:
        items: in any order.
        what: the list, for a person.

    Raises:
        InputError: there are fewer than three distinct items.
    """
    distinct = list(dict.fromkeys(items))
    if len(distinct) < _FEWEST:
        raise InputError(
            f"the list {what} has {len(distinct)} distinct item{'s' * (len(distinct) != 1)}, one a "
            f"line; {_FEWEST} or more are expected, as some are held out to validate and to test: "
            "give more"
        )
    key = hashlib.sha256("\n".join(items).encode()).hexdigest()[:32]
    return cached(f"items-{_FORMAT}-{key}", lambda folder: _write(items, distinct, folder))


def _write(items: Sequence[str], distinct: Sequence[str], folder: Path) -> None:
    texts = {"train": [Text((item,), "") for item in distinct]}
    splits, _ = fill_splits(texts, HELD_OUT, SEED, "the list", "file")
    for split, chosen in splits.items():
        own = {text.tokens[0] for text in chosen}
        lines = [item for item in items if item in own]
        if split == "train":
            Random(SEED).shuffle(lines)  # noqa: S311 - not for secrets
        _write_lines(folder / f"{split}.txt", lines)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)


class Items(Numbered[StreamWindow]):
    """The items of a list in batches, whole, each from an `<eos>` on and with no memory before it.

    A batch is a window whose next one reads all of it "again": so no memory is kept. Items stay in
    the order of the text, which is shuffled; batches differ by one item at most.

    Args:
        ids: the text [tokens]; each item ends with `<eos>`.
        eos_id: the id of `<eos>`.
        batch_size: items of a batch, over all ranks.
        rank: this process.
        world_size: processes.
        source: what the list is called in error messages.

    Raises:
        InputError: `batch_size` is below 1, **or** there are fewer items in a batch than processes.
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
            raise InputError(f"batch_size is {batch_size}; 1 or more is expected")
        ends = np.flatnonzero(np.asarray(ids) == eos_id) + 1
        self._ids, self._eos_id = ids, eos_id
        self._starts, self._ends = np.concatenate(([0], ends[:-1])), ends
        num_batches = -(-len(ends) // batch_size)
        self._bounds = np.arange(num_batches + 1) * len(ends) // num_batches
        if (fewest := int(np.diff(self._bounds).min())) < world_size:
            raise InputError(
                f"{fewest} items of {source} in a batch cannot be shared by {world_size} "
                "processes; each needs one: raise batch_size or use fewer devices"
            )
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Gives the number of batches in an epoch."""
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
