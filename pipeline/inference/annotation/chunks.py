"""Groups passages into chunks that fit into RAM, and converts their words to ids."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.inference.annotation.sentence_splitting import Passage
from pipeline.inference.annotation.text_files import input_waits
from pipeline.inference.unseen_words import Counts, UnseenWords
from pipeline.text.treebank import Token

_MAX_TOKENS = 65_536  # a chunk with as many tokens is complete
_MAX_PASSAGES = 2048


class Chunk(NamedTuple):
    """Passages that are sorted by length and computed together.

    Attributes:
        passages: The passages, in the order of the input.
        words: The distinct tokens of all passages in the spelling of the model's corpus.
        ids: Indices into `words` of the tokens of each passage, int64 [time].
    """

    passages: list[Passage]
    words: list[str]
    ids: Sequence[Tensor]


_END = Chunk([], [], [])


class ChunkReader:
    """Reads passages in chunks, gives the model the vectors of their words, and counts tokens.

    `vectors` is the file of pretrained vectors as in `UnseenWords`, and `shorten` returns the
    tokens of a passage to be read. A chunk ends where no more lines of standard input have arrived,
    so that these are answered at once.
    """

    def __init__(
        self,
        trained: Trained,
        vectors: Path | None = None,
        shorten: Callable[[list[Token]], list[Token]] | None = None,
    ) -> None:
        self._unseen_words = UnseenWords(trained, vectors)
        self._known, self._shorten = self._unseen_words.known, shorten
        self.counts = Counts()

    def chunks(self, passages: Iterator[Passage]) -> Iterator[Chunk]:
        """Yields all chunks; each is read when it is requested."""
        return iter(lambda: self._read(passages), _END)

    def summary(self, unit: str) -> str:
        """Returns a note with the numbers of passages (called `unit`), tokens and unknown words."""
        return self._unseen_words.summary(self.counts, unit)

    def _read(self, passages: Iterator[Passage]) -> Chunk:
        chunk, num_tokens = list[Passage](), 0
        while num_tokens < _MAX_TOKENS and len(chunk) < _MAX_PASSAGES:
            if (passage := next(passages, None)) is None:
                break
            chunk.append(passage)
            num_tokens += len(passage.tokens)
            if input_waits():
                break
        if not chunk:
            return _END
        if self._shorten is not None:
            chunk = [passage._replace(tokens=self._shorten(passage.tokens)) for passage in chunk]
        known, spell = self._known, self._spelling
        words = [
            [token[0] if token[0] in known else spell(passage, token) for token in passage.tokens]
            for passage in chunk
        ]
        distinct = {word: index for index, word in enumerate(dict.fromkeys(chain(*words)))}
        ids = torch.tensor([distinct[word] for row in words for word in row], dtype=torch.int64)
        self.counts = self.counts.plus(self._unseen_words.read(list(distinct), ids, len(chunk)))
        return Chunk(chunk, list(distinct), torch.split(ids, [len(row) for row in words]))

    def _spelling(self, passage: Passage, token: Token) -> str:
        # Corpora differ from the tokenizer in escapes: `(` for `-LRB-`, one quote for two.
        raw = passage.text[token.start : token.end]
        return raw if raw in self._known else token.text
