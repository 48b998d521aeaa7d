"""A text as parallel columns of tokens, divided into windows."""

from collections.abc import Callable

import numpy as np
import torch

from datamodules.batching.resumable import ResumableBatches
from datamodules.language_model.corpus import Ids
from datamodules.language_model.random_windows import RandomWindows
from pipeline.batches import IGNORE_INDEX, StreamWindow, column_share
from pipeline.errors import InputError


class Streams(ResumableBatches[StreamWindow]):
    """The consecutive windows of a text; each token of the text is a target exactly once.

    The stream is `<eos>` followed by the text; the first `<eos>` is input only. Of N targets,
    column i of B contains those from i*N//B to (i+1)*N//B, so the lengths of columns differ by one
    at most; a shorter column ends with the target `IGNORE_INDEX`. A window consists of the next
    `bptt` steps of the columns that this rank owns; the last window can be shorter. The carry can
    be passed from each window to the next.

    With `reread`, a window starts with up to `reread` tokens of the windows before it: the gradient
    of its first target reaches `reread` steps back, that of its last one `reread + bptt - 1` (the
    blocks of the RNNLM toolkit, Mikolov 2012, which calls `reread + 1` the steps of BPTT and `bptt`
    the block).

    Args:
        ids: Ids of the text [tokens]; only the parts that a window needs are loaded.
        eos_id: The id of `<eos>`.
        batch_size: Number of columns over all ranks.
        bptt: Number of steps of a window.
        rank: Rank of this process; it owns the columns from rank*batch_size//world_size to
            (rank+1)*batch_size//world_size.
        world_size: Number of processes.
        source: Name of the text, for error messages.
        reread: Number of tokens before a window that it reads again.
        random: Divides each epoch into windows of random lengths around `bptt`; the rate factor of
            a window is then its length / bptt.

    Raises:
        InputError: If there are fewer tokens than columns, fewer columns than processes, a window
            is longer than a column, or a number is out of range.

    Example:
        >>> text = np.array([5, 6, 0, 7, 8, 0], dtype=np.int32)  # two lines; 0 is <eos>
        >>> [window.targets.tolist() for window in Streams(text, eos_id=0, batch_size=2, bptt=2)]
        [[[5, 6], [7, 8]], [[0], [0]]]
    """

    _noun = "windows"

    def __init__(
        self,
        ids: Ids,
        eos_id: int,
        batch_size: int,
        bptt: int,
        rank: int = 0,
        world_size: int = 1,
        source: str = "the text",
        reread: int = 0,
        random: RandomWindows | None = None,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("bptt", bptt, 1),
            ("reread", reread, 0),
        ):
            if value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        if world_size > batch_size:
            raise InputError(
                f"batch_size={batch_size} columns cannot be divided among {world_size} processes,"
                " at least one for each; raise batch_size or use fewer devices"
            )
        if len(ids) < batch_size:
            raise InputError(
                f"{source} has {len(ids)} tokens, fewer than batch_size={batch_size} columns; lower"
                " batch_size or add text"
            )
        bounds = np.arange(batch_size + 1) * len(ids) // batch_size
        self._starts, self._ends = bounds[:-1], bounds[1:]
        self._length = int((self._ends - self._starts).max())
        if bptt > self._length:
            raise InputError(
                f"a window of bptt={bptt} steps is longer than the columns: {source} has"
                f" {len(ids)} tokens, in batch_size={batch_size} columns {self._length} each; lower"
                " bptt or batch_size (n-gram models need no bptt: --data.bptt=null)"
            )
        super().__init__()
        self._ids, self._eos_id, self._world_size = ids, eos_id, world_size
        self._bptt, self._reread, self._random = bptt, reread, random
        self._num_windows = random.num_windows(self._length) if random else -(-self._length // bptt)
        self._owned = column_share(batch_size, rank, world_size)

    def __len__(self) -> int:
        """Returns the number of windows in an epoch."""
        return self._num_windows

    def _epoch(self) -> Callable[[int], StreamWindow]:
        cuts = self._cuts()
        return lambda index: self._window(int(cuts[index]), int(cuts[index + 1]))

    def _cuts(self) -> np.ndarray:
        if self._random is not None:
            return self._random.cuts(self._length, len(self))
        return np.minimum(np.arange(len(self) + 1) * self._bptt, self._length)

    def _window(self, step: int, end: int) -> StreamWindow:
        width = end - step
        first = max(step - self._reread, 0)
        places = self._starts[self._owned, None] + np.arange(first, step + width)
        tokens = np.where(places > 0, self._ids[places - 1], self._eos_id)
        places = places[:, step - first :]
        is_real = places < self._ends[self._owned, None]
        targets = np.where(is_real, self._ids[np.minimum(places, len(self._ids) - 1)], IGNORE_INDEX)
        real = np.clip(self._ends - self._starts - step, 0, width).sum()
        return StreamWindow(
            torch.from_numpy(tokens.astype(np.int64)),
            torch.from_numpy(targets.astype(np.int64)),
            float(real) / self._world_size,
            reread_next=min(self._reread, step + width),
            rate_factor=width / self._bptt if self._random else 1.0,
        )
