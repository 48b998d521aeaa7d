"""Sentences as ids, and batches of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from datamodules.batching.buckets import BatchShare, Buckets
from datamodules.batching.sentences import Sentence
from datamodules.batching.texts import LabelledText
from pipeline.batches import (
    IGNORE_INDEX,
    UNSEEN,
    UNSEEN_BEGIN,
    UNSEEN_INSIDE,
    Sentences,
    Texts,
)
from pipeline.text.lexicon import Lexicon

_CONSECUTIVE = 64  # sentences of a batch whose order matters


class EncodedTokens:
    """Words and columns of many sentences as ids, one after the other in flat arrays.

    Args:
        tokens: of each sentence.
        columns: of each sentence, its other columns.
        lexicon: its words, in order, give the ids of words; its columns, plus 1, those of columns.

    Attributes:
        lengths: tokens of each sentence.
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
        """Puts one id a token into an array, int64 [all tokens]."""
        return torch.from_numpy(np.fromiter(ids, dtype=np.int64, count=int(self._starts[-1])))

    def batch(self, rows: Sequence[int]) -> "TokenBatch":
        """Puts sentences side by side, as wide as the longest of them.

        Args:
            rows: which ones; none gives one row of length 0.
        """
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
    """Sentences side by side.

    Attributes:
        words: ids, int64 [batch time]; 0 after a row's end.
        columns: ids of the other columns, int64 [batch time column].
        lengths: real tokens of each row, int64 [batch].
        rows: which sentence each row is, int64 [batch]; -1 for none.
        places: of the tokens in what `EncodedTokens.flat` gave, int64 [batch time].
        is_real: bool [batch time]; false after a row's end.
    """

    words: Tensor
    columns: Tensor
    lengths: Tensor
    rows: Tensor
    places: Tensor
    is_real: Tensor


class EncodedSentences:
    """The sentences of a split as ids.

    A tag that is not among `tags`, because training lacks it, becomes `UNSEEN_BEGIN` or, where it
    says that a span goes on, `UNSEEN_INSIDE`.

    Args:
        sentences: of the split.
        lexicon: see `EncodedTokens`.
        tags: a tag's id is its place.

    Attributes:
        lengths: tokens of each sentence.
    """

    def __init__(
        self, sentences: Sequence[Sentence], lexicon: Lexicon, tags: Sequence[str]
    ) -> None:
        self._tokens = EncodedTokens(
            [s.tokens for s in sentences], [s.columns for s in sentences], lexicon
        )
        self.lengths = self._tokens.lengths
        places = {tag: index for index, tag in enumerate(tags)}
        self._tags = self._tokens.flat(_tag_id(tag, places) for s in sentences for tag in s.tags)

    def batch(self, share: BatchShare, world_size: int) -> Sentences:
        """Puts sentences into a batch as wide as the longest of them.

        Args:
            share: which ones; none gives a batch of one row of length 0.
            world_size: number of ranks.
        """
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
    """The texts of a split as ids, and their labels.

    Args:
        texts: of the split.
        lexicon: see `EncodedTokens`.
        labels: a label's id is its place.

    Attributes:
        lengths: tokens of each text.
    """

    def __init__(
        self, texts: Sequence[LabelledText], lexicon: Lexicon, labels: Sequence[str]
    ) -> None:
        self._tokens = EncodedTokens([text.tokens for text in texts], [()] * len(texts), lexicon)
        self.lengths = self._tokens.lengths
        places = {label: index for index, label in enumerate(labels)}
        self._labels = torch.tensor([places.get(text.label, UNSEEN) for text in texts])

    def batch(self, share: BatchShare, world_size: int) -> Texts:
        """Puts texts into a batch; see `EncodedSentences.batch`."""
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
    """A split as ids."""

    lengths: list[int]

    def batch(self, share: BatchShare, world_size: int) -> _Batch:
        """Puts a share of a batch into tensors."""


class Batches(Generic[_Batch]):
    """The batches of one rank, in one epoch after the other.

    Args:
        encoded: the encoded split.
        buckets: which sentences stand together.
        world_size: number of ranks.
        epoch: tells the epoch.
    """

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
        for share in self._buckets:
            yield self._encoded.batch(share, self._world_size)


class InOrder(Generic[_Batch]):
    """All sentences in their order, for what is written line by line.

    Args:
        encoded: the encoded split.
    """

    def __init__(self, encoded: EncodedRows[_Batch]) -> None:
        self._encoded = encoded

    def __len__(self) -> int:
        return -(-len(self._encoded.lengths) // _CONSECUTIVE)

    def __iter__(self) -> Iterator[_Batch]:
        lengths = self._encoded.lengths
        for start in range(0, len(lengths), _CONSECUTIVE):
            rows = list(range(start, min(start + _CONSECUTIVE, len(lengths))))
            share = BatchShare(rows, len(rows), sum(lengths[row] for row in rows))
            yield self._encoded.batch(share, 1)


def _tag_id(tag: str, places: Mapping[str, int]) -> int:
    return places.get(tag, UNSEEN_INSIDE if tag.startswith("I-") else UNSEEN_BEGIN)
