"""Sentences and texts as ids, and batches of them as tensors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from datamodules.batching.buckets import BatchShare, Buckets
from datamodules.batching.resumable import LazyMap
from datamodules.batching.sentences import Sentence
from datamodules.batching.texts import LabelledText
from pipeline.batches import IGNORE_INDEX, UNSEEN, UNSEEN_TAGS, Sentences, Texts
from pipeline.text.lexicon import Lexicon

_ORDERED_BATCH_SIZE = 64


class EncodedTokens:
    """The words and other columns of many sentences as ids, stored in flat arrays.

    The id of a word is its index in the lexicon. The id of a column's value is its index plus 1,
    and 0 is an unknown value. `lengths` contains the number of tokens of each sentence.
    """

    def __init__(
        self,
        tokens: Sequence[Sequence[str]],
        columns: Sequence[Sequence[Sequence[str]]],
        lexicon: Lexicon,
    ) -> None:
        words = {word: index for index, word in enumerate(lexicon.counts)}
        self.lengths = [len(row) for row in tokens]
        self._starts = torch.from_numpy(np.cumsum([0, *self.lengths]))
        self._words = self.flat(words[token] for row in tokens for token in row)
        self._columns = torch.zeros(len(self._words), len(lexicon.columns), dtype=torch.int64)
        for number, values in enumerate(lexicon.columns.values()):
            ids = {value: index for index, value in enumerate(values, start=1)}
            column = (ids.get(value, 0) for row in columns for value in row[number])
            self._columns[:, number] = self.flat(column)

    def flat(self, ids: Iterable[int]) -> Tensor:
        """Converts one id per token into a tensor, int64 [all tokens]."""
        return torch.from_numpy(np.fromiter(ids, dtype=np.int64, count=int(self._starts[-1])))

    def batch(self, rows: Sequence[int]) -> "TokenBatch":
        """Pads sentences to equal length; without rows, returns one row of length 0."""
        if not rows:
            nothing = torch.zeros(1, 1, dtype=torch.int64)
            empty = torch.zeros(1, 1, self._columns.shape[1], dtype=torch.int64)
            return TokenBatch(nothing, empty, nothing[0], nothing[0] - 1, nothing, nothing > 0)
        indices = torch.tensor(list(rows))
        starts, lengths = self._starts[indices], self._starts[indices + 1] - self._starts[indices]
        steps = torch.arange(int(lengths.max()))
        is_real = steps < lengths.unsqueeze(1)
        places = torch.where(is_real, starts.unsqueeze(1) + steps, 0)
        return TokenBatch(
            words=self._words[places].masked_fill(~is_real, 0),
            columns=self._columns[places].masked_fill(~is_real.unsqueeze(-1), 0),
            lengths=lengths,
            rows=indices,
            places=places,
            is_real=is_real,
        )


class TokenBatch(NamedTuple):
    """A padded batch of sentences."""

    words: Tensor  # ids, int64 [batch time]; 0 at padding
    columns: Tensor  # ids of the other columns, int64 [batch time column]
    lengths: Tensor  # number of real tokens of each row, int64 [batch]
    rows: Tensor  # index of each row's sentence, int64 [batch]; -1 for an empty row
    places: Tensor  # index of each token in the tensor of `EncodedTokens.flat`, int64 [batch time]
    is_real: Tensor  # False at padding, bool [batch time]


class EncodedSentences:
    """The sentences of a split as ids; the id of a tag is its index in `tags`.

    Tags that do not occur in training have the ids that `UNSEEN_TAGS` describes.
    """

    def __init__(
        self, sentences: Sequence[Sentence], lexicon: Lexicon, tags: Sequence[str]
    ) -> None:
        self._tokens = EncodedTokens(
            [s.tokens for s in sentences], [s.columns for s in sentences], lexicon
        )
        self.lengths = self._tokens.lengths
        ids = {tag: index for index, tag in enumerate(tags)}
        ids |= _unseen_ids({tag for s in sentences for tag in s.tags} - ids.keys())
        self._tags = self._tokens.flat(ids[tag] for s in sentences for tag in s.tags)

    def batch(self, share: BatchShare, world_size: int) -> Sentences:
        """Pads sentences to the length of the longest; an empty share is one row of length 0."""
        tokens = self._tokens.batch(share.rows)
        tags = torch.full_like(tokens.words, IGNORE_INDEX)
        tags[tokens.is_real] = self._tags[tokens.places[tokens.is_real]]
        return Sentences(
            words=tokens.words,
            columns=tokens.columns,
            tags=tags,
            lengths=tokens.lengths,
            rows=tokens.rows,
            targets_per_rank=share.num_tokens / world_size,
        )


class EncodedTexts:
    """The texts of a split and their labels as ids; the id of a label is its index in `labels`."""

    def __init__(
        self, texts: Sequence[LabelledText], lexicon: Lexicon, labels: Sequence[str]
    ) -> None:
        self._tokens = EncodedTokens([text.tokens for text in texts], [()] * len(texts), lexicon)
        self.lengths = self._tokens.lengths
        places = {label: index for index, label in enumerate(labels)}
        self._labels = torch.tensor([places.get(text.label, UNSEEN) for text in texts])

    def batch(self, share: BatchShare, world_size: int) -> Texts:
        """Pads texts to the length of the longest; an empty share is one row of length 0."""
        tokens = self._tokens.batch(share.rows)
        is_text = tokens.rows >= 0
        return Texts(
            words=tokens.words,
            columns=tokens.columns,
            labels=torch.where(is_text, self._labels[tokens.rows.clamp(min=0)], IGNORE_INDEX),
            lengths=tokens.lengths,
            rows=tokens.rows,
            targets_per_rank=share.num_rows / world_size,
            tokens_per_rank=share.num_tokens / world_size,
        )


_Batch = TypeVar("_Batch", covariant=True)


class EncodedRows(Protocol[_Batch]):
    """A split as ids; `lengths` contains the number of tokens of each row."""

    lengths: list[int]

    def batch(self, share: BatchShare, world_size: int) -> _Batch:
        """Returns the tensors of one rank's part of a batch."""


class Batches(Generic[_Batch]):
    """An iterable over one rank's batches of the epoch that `epoch` returns."""

    def __init__(
        self,
        encoded: EncodedRows[_Batch],
        buckets: Buckets,
        world_size: int,
        epoch: Callable[[], int],
    ) -> None:
        self._encoded, self._buckets = encoded, buckets
        self._world_size, self._epoch = world_size, epoch

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[_Batch]:
        self._buckets.set_epoch(self._epoch())
        yield from self._buckets.converted(
            lambda share: self._encoded.batch(share, self._world_size)
        )


class InOrder(Generic[_Batch]):
    """An iterable over batches of consecutive rows, for output in the order of the corpus.

    `lazy_map` computes the batches from their indices.
    """

    def __init__(self, encoded: EncodedRows[_Batch], lazy_map: LazyMap) -> None:
        self._encoded, self._map = encoded, lazy_map

    def __len__(self) -> int:
        return -(-len(self._encoded.lengths) // _ORDERED_BATCH_SIZE)

    def __iter__(self) -> Iterator[_Batch]:
        return self._map(self._batch, range(len(self)))

    def _batch(self, index: int) -> _Batch:
        lengths, start = self._encoded.lengths, index * _ORDERED_BATCH_SIZE
        rows = list(range(start, min(start + _ORDERED_BATCH_SIZE, len(lengths))))
        share = BatchShare(rows, len(rows), sum(lengths[row] for row in rows))
        return self._encoded.batch(share, 1)


def _unseen_ids(tags: Iterable[str]) -> dict[str, int]:
    types = {tag: tag[2:] if tag.startswith(("B-", "I-")) else tag for tag in tags}
    numbers = {label: number for number, label in enumerate(sorted({*types.values()}))}
    return {
        tag: UNSEEN_TAGS - 2 * numbers[label] - tag.startswith("I-") for tag, label in types.items()
    }
