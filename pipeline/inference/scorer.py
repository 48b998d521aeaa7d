"""The log-probability of each token of sentences, by any language model."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.batches import IGNORE_INDEX
from pipeline.checkpoints.read import Trained
from pipeline.contracts import Generator
from pipeline.encoders import Carry
from pipeline.inference.chunks import length_batches
from pipeline.inference.score_files import Line
from pipeline.text.units import Unit, tokenise
from pipeline.text.vocabulary import EOS, Vocabulary

_SENTENCES = 2048  # that are sorted by length together
_TOKENS = 65_536  # after which a chunk ends, however few sentences it has
_WINDOW = 512  # columns that are read at a time, so that a sentence of any length fits into memory


class Scored(NamedTuple):
    """A sentence and what the model says of it.

    Attributes:
        line: the sentence.
        tokens: as written, with `<eos>` at the end.
        is_unknown: for each token whether it was read and scored as `<unk>`: it is written so, or
            the vocabulary lacks it.
        log_probs: natural logarithm of each token's probability after all tokens before it.
    """

    line: Line
    tokens: list[str]
    is_unknown: list[bool]
    log_probs: list[float]

    @property
    def log_prob(self) -> float:
        """The natural logarithm of the sentence's probability, `<eos>` included."""
        return math.fsum(self.log_probs)

    @property
    def num_unknown(self) -> int:
        """Tokens that were scored as `<unk>`."""
        return sum(self.is_unknown)

    @property
    def perplexity(self) -> float:
        """The sentence's perplexity, `<eos>` included."""
        return perplexity(self.log_prob, len(self.tokens))


def perplexity(log_prob: float, num_tokens: int) -> float:
    """Gives exp(-log_prob / num_tokens), infinite where that is too large for a float."""
    try:
        return math.exp(-log_prob / num_tokens)
    except OverflowError:
        return math.inf


class Scorer:
    """Scores sentences: those of like lengths side by side, given in their order.

    Args:
        trained: a language model: `model(tokens [batch time], carry)` gives states and carry, and
            `model.head.log_probs(states, targets)` the natural logarithms.
        is_stream: each sentence goes on from the memory of the one before; otherwise each starts
            afresh after an `<eos>`.
        is_typed: a person waits for the answer to each line.
    """

    def __init__(self, trained: Trained, is_stream: bool = False, is_typed: bool = False) -> None:
        self.vocabulary = Vocabulary(trained.data["vocabulary"])
        self.unit: Unit = trained.data["unit"]
        self._model = cast(Generator, trained.model)
        self._is_stream, self._size = is_stream, 1 if is_typed else _SENTENCES
        self._carry: Carry | None = None

    def score(self, lines: Iterator[Line]) -> Iterator[Scored]:
        """Scores sentences; an empty line is a sentence of `<eos>` alone."""
        while chunk := self._read(lines):
            yield from self._score(chunk)

    def _read(self, lines: Iterator[Line]) -> list[tuple[Line, list[str]]]:
        chunk = list[tuple[Line, list[str]]]()
        num_tokens = 0
        while num_tokens < _TOKENS and len(chunk) < self._size:
            if (line := next(lines, None)) is None:
                break
            chunk.append((line, [*tokenise(line.text, self.unit), EOS]))
            num_tokens += len(chunk[-1][1])
        return chunk

    @torch.inference_mode()
    def _score(self, chunk: list[tuple[Line, list[str]]]) -> list[Scored]:
        ids = [torch.tensor(self.vocabulary.encode(tokens)) for _, tokens in chunk]
        found = self._in_stream(ids) if self._is_stream else self._apart(ids)
        unknown = self.vocabulary.unk_id
        return [
            Scored(line, tokens, (row == unknown).tolist(), log_probs.tolist())
            for (line, tokens), row, log_probs in zip(chunk, ids, found, strict=True)
        ]

    def _apart(self, ids: Sequence[Tensor]) -> Sequence[Tensor]:
        found: list[Tensor] = [torch.empty(0)] * len(ids)
        eos = self.vocabulary.eos_id
        for rows in length_batches([len(row) for row in ids]):
            targets = pad_sequence([ids[row] for row in rows], True, IGNORE_INDEX)
            tokens = pad_sequence([_shifted(ids[row], eos) for row in rows], True, eos)
            log_probs, _ = self._log_probs(tokens, targets, None)
            for row, of_one in zip(rows, log_probs, strict=True):
                found[row] = of_one[: len(ids[row])].double()
        return found

    def _in_stream(self, ids: Sequence[Tensor]) -> Sequence[Tensor]:
        targets = torch.cat(list(ids))
        tokens = _shifted(targets, self.vocabulary.eos_id).unsqueeze(0)  # as the last chunk ended
        log_probs, self._carry = self._log_probs(tokens, targets.unsqueeze(0), self._carry)
        return torch.split(log_probs[0].double(), [len(row) for row in ids])

    def _log_probs(
        self, tokens: Tensor, targets: Tensor, carry: Carry | None
    ) -> tuple[Tensor, Carry | None]:
        pieces = []
        for start in range(0, tokens.shape[1], _WINDOW):
            window = slice(start, start + _WINDOW)
            states, carry = self._model(tokens[:, window], carry)
            pieces.append(self._model.head.log_probs(states, targets[:, window]))
        return torch.cat(pieces, dim=1), carry


def _shifted(ids: Tensor, first: int) -> Tensor:
    return torch.cat((ids.new_tensor([first]), ids[:-1]))


class Totals:
    """Sums over sentences, for the perplexities of a whole text."""

    def __init__(self) -> None:
        self.num_sentences = self.num_tokens = self.num_unknown = 0
        self.log_prob = self.known_log_prob = 0.0

    def add(self, scored: Iterator[Scored]) -> Iterator[Scored]:
        """Adds sentences as they pass by."""
        for one in scored:
            known = itertools.compress(one.log_probs, (not unknown for unknown in one.is_unknown))
            self.num_sentences += 1
            self.num_tokens += len(one.tokens)
            self.num_unknown += one.num_unknown
            self.log_prob += one.log_prob
            self.known_log_prob += math.fsum(known)
            yield one

    def summary(self, unit: Unit, vocab_size: int) -> str:
        """Tells a person the sums in a few lines, and what exactly each perplexity is of.

        Args:
            unit: what a token is.
            vocab_size: words of the model, `<eos>` and `<unk>` among them.
        """
        whole = perplexity(self.log_prob, self.num_tokens)
        num_known = self.num_tokens - self.num_unknown  # each sentence has an <eos>, so not 0
        known = perplexity(self.known_log_prob, num_known)
        bits = -self.log_prob / self.num_tokens / math.log(2)
        in_bits = f", {bits:.4f} bits per character" if unit == "character" else ""
        return (
            f"{self.num_sentences:,} sentence{'s' * (self.num_sentences != 1)}, "
            f"{self.num_tokens:,} tokens (one <eos> a sentence included), of which "
            f"{self.num_unknown:,} are unknown: scored as <unk>, as they are written so or are "
            f"none of the model's {vocab_size:,} {unit}s\n"
            f"log-probability {self.log_prob:.4f} (natural logarithm), "
            f"{self.log_prob / math.log(10):.4f} (base 10)\n"
            f"perplexity including unknown {unit}s {whole:.4f}: over all {self.num_tokens:,} "
            f"tokens, an unknown one costs what the model gives <unk>{in_bits}\n"
            f"perplexity excluding unknown {unit}s {known:.4f}: over the {num_known:,} other "
            "tokens; unknown ones are in neither sum nor count, and are still read"
        )
