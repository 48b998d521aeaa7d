"""Batches that datamodules yield and tasks consume."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.transfers import to_device

IGNORE_INDEX = -100
"""Target without a loss (the default `ignore_index` of `torch.nn.functional.cross_entropy`)."""
UNSEEN = -3
"""Gold label that does not occur in training."""
UNSEEN_TAGS = IGNORE_INDEX - 1
"""Gold tags of span types that do not occur in training: type n has the ids `UNSEEN_TAGS - 2 * n`
(first token of a span) and `UNSEEN_TAGS - 2 * n - 1` (later tokens)."""


def all_real(targets: Tensor) -> bool:
    """Returns whether no target is `IGNORE_INDEX`, and False where reading them is not possible.

    Reading targets on a device would wait for it, and a compiled function cannot depend on them.

    Example:
        >>> all_real(torch.tensor([3, 0])), all_real(torch.tensor([3, IGNORE_INDEX]))
        (True, False)
    """
    if targets.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return not bool((targets == IGNORE_INDEX).any())


class StreamWindow(NamedTuple):
    """A window of one rank's columns of a stream.

    Attributes:
        tokens: Input ids, int64 [batch reread+time]. The first `reread` ones are repeated from the
            window before, so that gradients reach beyond the start of the window.
        targets: Target ids of the last `time` tokens, int64 [batch time]; `IGNORE_INDEX` after the
            end of a column. `to` leaves them on the host, where output layers count and sort them.
        targets_per_rank: Number of real targets of this window over all ranks, divided by the
            number of ranks. Dividing a summed loss by it and averaging over ranks gives the mean
            loss of the window for any number of ranks.
        reread_next: Number of last tokens that the next window repeats.
        rate_factor: Factor of the learning rate for the update of this window.
        afresh: Whether each row is an independent text, in this window and in the next one.

    Example:
        >>> import torch
        >>> StreamWindow(torch.tensor([[0, 7]]), torch.tensor([[7, 9]]), 2.0).tokens_per_rank
        2.0
    """

    tokens: Tensor
    targets: Tensor
    targets_per_rank: float
    reread_next: int = 0
    rate_factor: float = 1.0
    afresh: bool = False

    @property
    def tokens_per_rank(self) -> float:
        """Number of tokens, equal to `targets_per_rank` because each token is a target."""
        return self.targets_per_rank

    def to(self, device: torch.device | str) -> "StreamWindow":
        """Copies the tokens to a device without waiting; the targets stay where they are.

        Lightning calls this method. Counting targets on a device would make the host wait.
        """
        return self._replace(tokens=to_device(self.tokens, device))


def column_share(num_columns: int, rank: int, world_size: int) -> slice:
    """Returns the columns of a stream that a rank owns; the slices of all ranks are adjacent.

    Example:
        >>> [column_share(5, rank, 2) for rank in range(2)]
        [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(rank * num_columns // world_size, (rank + 1) * num_columns // world_size)


class Sentences(NamedTuple):
    """Tagged sentences, one per row, right-padded.

    Attributes:
        words: Ids in the lexicon of the datamodule, int64 [batch time]; 0 at padding.
        columns: Ids of the values of the other columns, int64 [batch time column].
        tags: Gold tag ids, int64 [batch time]; `IGNORE_INDEX` at padding; in evaluation
            `UNSEEN_TAGS` or less for tags that do not occur in training.
        lengths: Number of real tokens of each row, int64 [batch], always on the host.
        rows: Index of each row's sentence in its split, int64 [batch], always on the host; -1 for
            an empty row, which a rank gets if a batch has fewer sentences than there are ranks.
        targets_per_rank: Number of tokens of this batch over all ranks, divided by the number of
            ranks.
    """

    words: Tensor
    columns: Tensor
    tags: Tensor
    lengths: Tensor
    rows: Tensor
    targets_per_rank: float

    @property
    def tokens_per_rank(self) -> float:
        """Number of tokens, equal to `targets_per_rank` because each token is a target."""
        return self.targets_per_rank

    def to(self, device: torch.device | str) -> "Sentences":
        """Copies words, columns and tags to a device without waiting; the rest stays on the host.

        Lightning calls this method. Reading a length from a device would make the host wait.
        """
        return self._replace(
            words=to_device(self.words, device),
            columns=to_device(self.columns, device),
            tags=to_device(self.tags, device),
        )


class Texts(NamedTuple):
    """Labelled texts, one per row, right-padded.

    Attributes:
        words: Ids in the lexicon of the datamodule, int64 [batch time]; 0 at padding.
        columns: Ids of the values of the other columns, int64 [batch time column].
        labels: Gold label ids, int64 [batch]; in evaluation `UNSEEN` for a label that does not
            occur in training; `IGNORE_INDEX` for an empty row.
        lengths: Number of real tokens of each row, int64 [batch], always on the host.
        rows: Index of each row's text in its split, int64 [batch], always on the host; -1 for an
            empty row, which a rank gets if a batch has fewer texts than there are ranks.
        targets_per_rank: Number of texts of this batch over all ranks, divided by the number of
            ranks.
        tokens_per_rank: Number of tokens, divided in the same way.
    """

    words: Tensor
    columns: Tensor
    labels: Tensor
    lengths: Tensor
    rows: Tensor
    targets_per_rank: float
    tokens_per_rank: float

    def to(self, device: torch.device | str) -> "Texts":
        """Copies words, columns and labels to a device without waiting, as `Sentences.to`."""
        return self._replace(
            words=to_device(self.words, device),
            columns=to_device(self.columns, device),
            labels=to_device(self.labels, device),
        )


class Series(NamedTuple):
    """Sequences of numbers with targets at their last steps.

    `targets_per_rank` is the number of sequences of this batch over all ranks, divided by the
    number of ranks; `tokens_per_rank` is the number of steps, divided in the same way.
    """

    inputs: Tensor  # float32 [batch time input]
    targets: Tensor  # of the last `answer` steps [batch answer ...]
    targets_per_rank: float
    tokens_per_rank: float


def length_batches(lengths: Sequence[int], max_tokens: int = 8192) -> Iterator[list[int]]:
    """Yields the row indices of batches of similar lengths, the longest rows first.

    A batch has at most `max_tokens` tokens, including padding; a longer row is a batch of its own.

    Example:
        >>> list(length_batches([2, 5, 1, 2], max_tokens=6))
        [[1], [0, 3, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        size = max(1, max_tokens // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]
