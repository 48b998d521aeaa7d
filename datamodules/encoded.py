"""Sentences as ids, and batches of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.buckets import Buckets
from datamodules.tagged import Sentence
from pipeline.batches import IGNORE_INDEX, UNSEEN_BEGIN, UNSEEN_INSIDE, Sentences
from pipeline.text.lexicon import Lexicon

_CONSECUTIVE = 64  # sentences of a batch whose order matters


class EncodedSentences:
    """The sentences of a split as ids, one after the other in flat arrays.

    A tag that is not among `tags`, because training lacks it, becomes `UNSEEN_BEGIN` or, where it
    says that a span goes on, `UNSEEN_INSIDE`.

    Args:
        sentences: of the split.
        lexicon: its words, in order, give the ids of words; its columns, plus 1, those of columns.
        tags: a tag's id is its place.

    Attributes:
        lengths: tokens of each sentence.
    """

    def __init__(
        self, sentences: Sequence[Sentence], lexicon: Lexicon, tags: Sequence[str]
    ) -> None:
        words = {word: index for index, word in enumerate(lexicon.counts)}
        self.lengths = [len(sentence.tokens) for sentence in sentences]
        self._starts = torch.from_numpy(np.cumsum([0, *self.lengths]))
        self._words = _flat((words.get(t, 0) for s in sentences for t in s.tokens), self._total)
        places = {tag: index for index, tag in enumerate(tags)}
        tags_of_all = (tag for sentence in sentences for tag in sentence.tags)
        self._tags = _flat((_tag_id(tag, places) for tag in tags_of_all), self._total)
        self._columns = torch.zeros(self._total, len(lexicon.columns), dtype=torch.int64)
        for number, values in enumerate(lexicon.columns.values()):
            ids = {value: index for index, value in enumerate(values, start=1)}
            column = (ids.get(value, 0) for s in sentences for value in s.columns[number])
            self._columns[:, number] = _flat(column, self._total)

    @property
    def _total(self) -> int:
        return int(self._starts[-1])

    def batch(self, rows: Sequence[int], targets_per_rank: float) -> Sentences:
        """Puts sentences into a batch as wide as the longest of them.

        Args:
            rows: which ones; none gives a batch of one row of length 0.
            targets_per_rank: see `Sentences`.
        """
        if not rows:
            return self._empty(targets_per_rank)
        indices = torch.tensor(list(rows))
        starts, lengths = self._starts[indices], self._starts[indices + 1] - self._starts[indices]
        steps = torch.arange(int(lengths.max()))
        is_real = steps < lengths.unsqueeze(1)
        places = torch.where(is_real, starts.unsqueeze(1) + steps, 0)
        return Sentences(
            words=self._words[places].masked_fill(~is_real, 0),
            columns=self._columns[places].masked_fill(~is_real.unsqueeze(-1), 0),
            tags=self._tags[places].masked_fill(~is_real, IGNORE_INDEX),
            lengths=lengths,
            rows=indices,
            targets_per_rank=targets_per_rank,
        )

    def _empty(self, targets_per_rank: float) -> Sentences:
        return Sentences(
            words=torch.zeros(1, 1, dtype=torch.int64),
            columns=torch.zeros(1, 1, self._columns.shape[1], dtype=torch.int64),
            tags=torch.full((1, 1), IGNORE_INDEX),
            lengths=torch.zeros(1, dtype=torch.int64),
            rows=torch.full((1,), -1),
            targets_per_rank=targets_per_rank,
        )


class Batches:
    """The batches of one rank, in one epoch after the other.

    Args:
        sentences: the encoded split.
        buckets: which sentences stand together.
        world_size: number of ranks.
        epoch: tells the epoch.
    """

    def __init__(
        self,
        sentences: EncodedSentences,
        buckets: Buckets,
        world_size: int,
        epoch: Callable[[], int],
    ) -> None:
        self._sentences, self._buckets = sentences, buckets
        self._world_size, self._epoch = world_size, epoch

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[Sentences]:
        self._buckets.set_epoch(self._epoch())
        for share, tokens in self._buckets:
            yield self._sentences.batch(share, tokens / self._world_size)


class InOrder:
    """All sentences in their order, for what is written line by line.

    Args:
        sentences: the encoded split.
    """

    def __init__(self, sentences: EncodedSentences) -> None:
        self._sentences = sentences

    def __len__(self) -> int:
        return -(-len(self._sentences.lengths) // _CONSECUTIVE)

    def __iter__(self) -> Iterator[Sentences]:
        rows = range(len(self._sentences.lengths))
        for start in range(0, len(rows), _CONSECUTIVE):
            yield self._sentences.batch(rows[start : start + _CONSECUTIVE], 1.0)


def _tag_id(tag: str, places: Mapping[str, int]) -> int:
    return places.get(tag, UNSEEN_INSIDE if tag.startswith("I-") else UNSEEN_BEGIN)


def _flat(ids: object, count: int) -> Tensor:
    array: npt.NDArray[np.int64] = np.fromiter(ids, dtype=np.int64, count=count)  # type: ignore[call-overload]
    return torch.from_numpy(array)
