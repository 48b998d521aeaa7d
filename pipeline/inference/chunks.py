"""Text in chunks that fit into memory."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipeline.inference.text_files import Passage
from pipeline.text.treebank import Token

_TOKENS = 65_536  # after which a chunk ends, however few passages it has
_CHUNK = 2048  # passages that are sorted by length together
BATCH_TOKENS = 8192  # of a batch, padding included


class Chunk(NamedTuple):
    """Passages, and their words as the model's corpus writes them."""

    passages: list[Passage]
    words: list[list[str]]


_NOTHING = Chunk([], [])


class WordIds(NamedTuple):
    """The words of a chunk as numbers.

    Attributes:
        distinct: the words.
        ids: for each passage, places among them, int64 [time].
    """

    distinct: list[str]
    ids: Sequence[Tensor]


class ChunkReader:
    """Reads passages in chunks, and counts what it reads.

    Args:
        lexicon: the words of the model's corpus, as a checkpoint keeps them.
        is_typed: a person may be typing, and waits for an answer to each line.
        shorten: what is read of the tokens of a passage; all of them if omitted.
    """

    def __init__(
        self,
        lexicon: Mapping[str, Any],
        is_typed: bool = False,
        shorten: Callable[[list[Token]], list[Token]] | None = None,
    ) -> None:
        self._known, self._shorten = set(lexicon["words"]), shorten
        pairs = zip(lexicon["words"], lexicon["counts"], strict=True)
        self._trained_on = {word for word, count in pairs if count}
        self._size = 1 if is_typed and sys.stdin.isatty() else _CHUNK
        self._num_passages = self._num_tokens = self._num_unseen = self._num_unknown = 0

    def chunks(self, passages: Iterator[Passage]) -> Iterator[Chunk]:
        """Gives all chunks, each read when it is asked for."""
        return iter(lambda: self._read(passages), _NOTHING)

    def summary(self, unit: str) -> str:
        """Tells a person what was read.

        Args:
            unit: what a passage is, as "sentences".
        """
        total = max(self._num_tokens, 1)
        return (
            f"{self._num_passages:,} {unit}, {self._num_tokens:,} tokens: the training text did "
            f"not have {self._num_unseen / total:.1%} of them, and of "
            f"{self._num_unknown / total:.1%} the model has no vector"
        )

    def _read(self, passages: Iterator[Passage]) -> Chunk:
        chunk, num_tokens = list[Passage](), 0
        while num_tokens < _TOKENS and len(chunk) < self._size:
            if (passage := next(passages, None)) is None:
                break
            chunk.append(passage)
            num_tokens += len(passage.tokens)
        if self._shorten is not None:
            chunk = [passage._replace(tokens=self._shorten(passage.tokens)) for passage in chunk]
        known, spell = self._known, self._spelling
        words = [
            [token[0] if token[0] in known else spell(passage, token) for token in passage.tokens]
            for passage in chunk
        ]
        self._num_passages += len(chunk)
        self._num_tokens += sum(len(row) for row in words)
        self._num_unseen += sum(word not in self._trained_on for row in words for word in row)
        self._num_unknown += sum(word not in known for row in words for word in row)
        return Chunk(chunk, words)

    def _spelling(self, passage: Passage, token: Token) -> str:
        """Gives an unknown token as the corpus may write it: `(` for `-LRB-`, one quote for two."""
        raw = passage.text[token.start : token.end]
        return raw if raw in self._known else token.text


def word_ids(words: Sequence[Sequence[str]]) -> WordIds:
    """Numbers the distinct words of a chunk."""
    distinct = {word: place for place, word in enumerate(dict.fromkeys(itertools.chain(*words)))}
    flat = torch.tensor([distinct[word] for row in words for word in row], dtype=torch.int64)
    return WordIds(list(distinct), torch.split(flat, [len(row) for row in words]))


def length_batches(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Cuts passages into batches of like lengths, the longest first."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        size = max(1, batch_tokens // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]
