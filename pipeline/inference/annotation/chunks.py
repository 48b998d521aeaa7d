"""Groups passages into chunks that fit into RAM, and converts their words to ids."""

import itertools
import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipeline.inference.annotation.sentence_splitting import Passage
from pipeline.text.treebank import Token

_MAX_TOKENS = 65_536  # a chunk with as many tokens is complete
_MAX_PASSAGES = 2048


class Chunk(NamedTuple):
    """Passages that are sorted by length and computed together.

    Attributes:
        passages: The passages, in the order of the input.
        words: The tokens of each passage in the spelling of the model's corpus.
    """

    passages: list[Passage]
    words: list[list[str]]


_END = Chunk([], [])


class WordIds(NamedTuple):
    """The distinct words of a chunk, and for each passage indices into them, int64 [time]."""

    distinct: list[str]
    ids: Sequence[Tensor]


class Counts(NamedTuple):
    """Numbers of passages and tokens that were read.

    Attributes:
        passages: Number of passages.
        tokens: Number of their tokens.
        unseen: Number of tokens that do not occur in the training text.
        unknown: Number of tokens that have no vector in the model.
    """

    passages: int = 0
    tokens: int = 0
    unseen: int = 0
    unknown: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Returns the sums of both."""
        return Counts(*map(operator.add, self, other))


class ChunkReader:
    """Reads passages in chunks and counts tokens and unknown words.

    `lexicon` is the state of the model's `Lexicon`, and `shorten` returns the tokens of a passage
    to be read. If standard input is read in a terminal, every line is a chunk of its own, so that
    it is answered at once.
    """

    def __init__(
        self,
        lexicon: Mapping[str, Any],
        reads_standard_input: bool = False,
        shorten: Callable[[list[Token]], list[Token]] | None = None,
    ) -> None:
        self._known, self._shorten = set(lexicon["words"]), shorten
        pairs = zip(lexicon["words"], lexicon["counts"], strict=True)
        self._trained_on = {word for word, count in pairs if count}
        is_interactive = reads_standard_input and sys.stdin.isatty()
        self._max_passages = 1 if is_interactive else _MAX_PASSAGES
        self.counts = Counts()

    def chunks(self, passages: Iterator[Passage]) -> Iterator[Chunk]:
        """Yields all chunks; each is read when it is requested."""
        return iter(lambda: self._read(passages), _END)

    def summary(self, unit: str) -> str:
        """Returns a note with the numbers of passages (called `unit`), tokens and unknown words."""
        num_passages, num_tokens, num_unseen, num_unknown = self.counts
        total = max(num_tokens, 1)
        return (
            f"{num_passages:,} {unit}, {num_tokens:,} tokens: "
            f"{num_unseen / total:.1%} do not occur in the training text, "
            f"{num_unknown / total:.1%} have no vector in the model"
        )

    def _read(self, passages: Iterator[Passage]) -> Chunk:
        chunk, num_tokens = list[Passage](), 0
        while num_tokens < _MAX_TOKENS and len(chunk) < self._max_passages:
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
        trained_on = self._trained_on
        self.counts = self.counts.plus(
            Counts(
                len(chunk),
                sum(map(len, words)),
                sum([word not in trained_on for row in words for word in row]),
                sum([word not in known for row in words for word in row]),
            )
        )
        return Chunk(chunk, words)

    def _spelling(self, passage: Passage, token: Token) -> str:
        # Corpora differ from the tokenizer in escapes: `(` for `-LRB-`, one quote for two.
        raw = passage.text[token.start : token.end]
        return raw if raw in self._known else token.text


def word_ids(words: Sequence[Sequence[str]]) -> WordIds:
    """Assigns ids to the distinct words of a chunk, in order of appearance."""
    distinct = {word: index for index, word in enumerate(dict.fromkeys(itertools.chain(*words)))}
    flat = torch.tensor([distinct[word] for row in words for word in row], dtype=torch.int64)
    return WordIds(list(distinct), torch.split(flat, [len(row) for row in words]))
