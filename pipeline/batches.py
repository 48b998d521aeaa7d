"""The batches that datamodules yield and tasks take."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

IGNORE_INDEX = -100
"""A target with this value carries no loss (the default of `torch.nn.functional.cross_entropy`)."""
UNSEEN_BEGIN, UNSEEN_INSIDE = -1, -2
"""Gold tags of a type that training lacks: the first and the later tokens of its spans."""

UNSEEN = -3
"""The gold label of a text where training lacks it."""


class StreamWindow(NamedTuple):
    """`bptt` steps of the columns that one rank owns of a stream.

    Attributes:
        tokens: ids read, int64 [batch reread+time]; the first ones may have been read before, so
            that a gradient goes further back than the window.
        targets: ids to be predicted from the last `time` tokens, int64 [batch time];
            `IGNORE_INDEX` where a column has ended.
        targets_per_rank: real targets of this window over all ranks, divided by the number of
            ranks. A summed loss divided by it and averaged over ranks is the mean over the whole
            window, on any number of ranks.
        reread_next: how many of the last tokens the next window reads again.
        rate_factor: what this window's update multiplies the learning rate by.
        afresh: each row is a text of its own, with nothing before it; so is the next window's.
    """

    tokens: Tensor
    targets: Tensor
    targets_per_rank: float
    reread_next: int = 0
    rate_factor: float = 1.0
    afresh: bool = False

    @property
    def tokens_per_rank(self) -> float:
        """Tokens of the batch over all ranks, divided by their number: each is a target."""
        return self.targets_per_rank


def column_share(num_columns: int, rank: int, world_size: int) -> slice:
    """Returns the columns of a stream that a rank owns; the shares of all ranks join up."""
    return slice(rank * num_columns // world_size, (rank + 1) * num_columns // world_size)


class Sentences(NamedTuple):
    """Whole sentences, one a row, right-padded.

    Attributes:
        words: ids in the datamodule's lexicon, int64 [batch time]; 0 after a row's end.
        columns: ids of the values of each other column, int64 [batch time column].
        tags: gold tag ids, int64 [batch time]; `IGNORE_INDEX` after a row's end; in evaluation
            `UNSEEN_BEGIN` and `UNSEEN_INSIDE` for what training lacks.
        lengths: real tokens of each row, int64 [batch].
        rows: which sentence of its split each row is, int64 [batch]; -1 for a row without a
            sentence, which evens out what ranks get.
        targets_per_rank: tokens of this batch over all ranks, divided by the number of ranks.
    """

    words: Tensor
    columns: Tensor
    tags: Tensor
    lengths: Tensor
    rows: Tensor
    targets_per_rank: float

    @property
    def tokens_per_rank(self) -> float:
        """Tokens of the batch over all ranks, divided by their number: each is a target."""
        return self.targets_per_rank


class Texts(NamedTuple):
    """Whole texts, one a row, right-padded, with a label each.

    Attributes:
        words: ids in the datamodule's lexicon, int64 [batch time]; 0 after a row's end.
        columns: as those of `Sentences`, int64 [batch time column].
        labels: gold label ids, int64 [batch]; `UNSEEN` in evaluation for one that training lacks,
            `IGNORE_INDEX` for a row without a text.
        lengths: real tokens of each row, int64 [batch].
        rows: which text of its split each row is, int64 [batch]; -1 for a row without a text,
            which evens out what ranks get.
        targets_per_rank: texts of this batch over all ranks, divided by the number of ranks.
        tokens_per_rank: tokens likewise.
    """

    words: Tensor
    columns: Tensor
    labels: Tensor
    lengths: Tensor
    rows: Tensor
    targets_per_rank: float
    tokens_per_rank: float


class Series(NamedTuple):
    """Sequences of numbers with what is to be answered at their last steps.

    Attributes:
        inputs: float32 [batch time input].
        targets: [batch answer ...], one for each of the last `answer` steps.
        targets_per_rank: sequences of this batch over all ranks, divided by the number of ranks.
        tokens_per_rank: steps likewise.
    """

    inputs: Tensor
    targets: Tensor
    targets_per_rank: float
    tokens_per_rank: float


def length_batches(lengths: Sequence[int], max_tokens: int = 8192) -> Iterator[list[int]]:
    """Yields the row indices of batches of similar lengths, the longest rows first.

    Args:
        lengths: Number of tokens of each row.
        max_tokens: Largest number of tokens of a batch, padding included; a longer row is a batch
            of its own.

    Example:
        >>> list(length_batches([2, 5, 1, 2], max_tokens=6))
        [[1], [0, 3, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        size = max(1, max_tokens // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]
