"""Computes the log-probability of each token of sentences with any language model."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.batches import IGNORE_INDEX, length_batches
from pipeline.checkpoints.read import Trained
from pipeline.contracts import Generator
from pipeline.encoders import Carry
from pipeline.errors import InputError
from pipeline.inference.scoring.sentence_files import InputLine
from pipeline.text.units import Unit, is_marked, split_line
from pipeline.text.vocabulary import EOS

_MAX_SENTENCES = 2048  # of a chunk, which is sorted by length
_MAX_TOKENS = 65_536  # a chunk with as many tokens is complete
_MAX_STEPS = 512  # per forward pass, so that a sentence of any length fits into RAM


class Scored(NamedTuple):
    """A scored sentence.

    Attributes:
        line: The sentence.
        tokens: Tokens as written, with `<eos>` at the end.
        is_unknown: For each token whether it was scored as `<unk>`, because it is written so or
            is not in the vocabulary.
        log_probs: Natural logarithm of each token's probability given all tokens before it.

    Example:
        >>> scored = Scored(InputLine(1, "a"), ["a", "<eos>"], [False, False], [-0.5, -1.5])
        >>> scored.log_prob, round(scored.perplexity, 4)
        (-2.0, 2.7183)
    """

    line: InputLine
    tokens: list[str]
    is_unknown: list[bool]
    log_probs: list[float]

    @classmethod
    def joined(cls, pieces: Sequence["Scored"]) -> "Scored":
        """Returns the sentence of which these are the pieces."""
        first = pieces[0].line
        text = "".join(piece.line.text for piece in pieces)
        return cls(
            first._replace(text=text, is_end=pieces[-1].line.is_end),
            [token for piece in pieces for token in piece.tokens],
            [is_unknown for piece in pieces for is_unknown in piece.is_unknown],
            [log_prob for piece in pieces for log_prob in piece.log_probs],
        )

    @property
    def log_prob(self) -> float:
        """Natural logarithm of the sentence's probability, including `<eos>`."""
        return math.fsum(self.log_probs)

    @property
    def num_unknown(self) -> int:
        """Number of tokens that were scored as `<unk>`."""
        return sum(self.is_unknown)

    @property
    def perplexity(self) -> float:
        """Perplexity of the sentence, including `<eos>`."""
        return perplexity(self.log_prob, len(self.tokens))


def perplexity(log_prob: float, num_tokens: int) -> float:
    """Returns exp(-log_prob / num_tokens), or infinity if this exceeds the range of a float."""
    try:
        return math.exp(-log_prob / num_tokens)
    except OverflowError:
        return math.inf


class Scorer:
    """Scores sentences; batches are sorted by length, the output keeps the order of the input.

    Args:
        trained: Trained language model.
        is_stream: Whether the carry is passed on from sentence to sentence; otherwise each
            sentence starts after an `<eos>` with the initial carry.
        is_interactive: Whether each line is scored before the next one is read.
    """

    def __init__(
        self, trained: Trained, is_stream: bool = False, is_interactive: bool = False
    ) -> None:
        self._model = cast(Generator, trained.model)
        self.vocabulary = self._model.vocabulary
        self.unit: Unit = trained.unit
        self._is_stream = is_stream
        self._max_sentences = 1 if is_interactive else _MAX_SENTENCES
        self._carry: Carry | None = None
        self._last = self.vocabulary.eos_id  # of the tokens that the carry has not read
        self._next: tuple[InputLine, list[str]] | None = None  # begins the next chunk
        self._is_at_start = True  # no piece of the current line had a token
        self.num_marked = 0  # sentences around which `<s>` or `</s>` was left out

    def score(self, lines: Iterator[InputLine]) -> Iterator[Scored]:
        """Yields scored sentences; an empty line is a sentence that consists of `<eos>`.

        Pieces of a line are scored as one sentence, but yielded one by one; the last one has the
        `<eos>`. Raises `InputError` if a line has `<s>`, `</s>` or NUL inside.
        """
        while chunk := self._read(lines):
            yield from self._score(chunk)

    def _read(self, lines: Iterator[InputLine]) -> list[tuple[InputLine, list[str]]]:
        """Reads a chunk of whole lines, or one piece of a line."""
        chunk = [] if self._next is None else [self._next]
        self._next = None
        num_tokens = sum(len(tokens) for _, tokens in chunk)
        while num_tokens < _MAX_TOKENS and len(chunk) < self._max_sentences:
            if (chunk and _is_piece(chunk[0][0])) or (line := next(lines, None)) is None:
                break
            tokens = self._split(line)
            if chunk and _is_piece(line):
                self._next = line, tokens
                break
            chunk.append((line, tokens))
            num_tokens += len(tokens)
        return chunk

    def _split(self, line: InputLine) -> list[str]:
        self._is_at_start = self._is_at_start or line.is_start
        try:
            tokens = split_line(line.text, self.unit, self._is_at_start, line.is_end)
        except ValueError as error:
            raise InputError(f"line {line.number} {error}") from error
        self.num_marked += line.is_start and is_marked(line.text)
        self._is_at_start = self._is_at_start and not tokens
        return [*tokens, EOS] if line.is_end else tokens

    @torch.inference_mode()
    def _score(self, chunk: list[tuple[InputLine, list[str]]]) -> list[Scored]:
        ids = [
            torch.tensor(self.vocabulary.encode(tokens), dtype=torch.long) for _, tokens in chunk
        ]
        first = chunk[0][0]
        if not self._is_stream and _is_piece(first) and first.is_start:
            self._carry, self._last = None, self.vocabulary.eos_id
        is_continued = self._is_stream or _is_piece(first)
        scores = self._score_stream(ids) if is_continued else self._score_separately(ids)
        unknown = self.vocabulary.unk_id
        return [
            Scored(line, tokens, (row == unknown).tolist(), log_probs.tolist())
            for (line, tokens), row, log_probs in zip(chunk, ids, scores, strict=True)
        ]

    def _score_separately(self, ids: Sequence[Tensor]) -> Sequence[Tensor]:
        scores: list[Tensor] = [torch.empty(0)] * len(ids)
        eos = self.vocabulary.eos_id
        for rows in length_batches([len(row) for row in ids]):
            targets = pad_sequence([ids[row] for row in rows], True, IGNORE_INDEX)
            tokens = pad_sequence([_shifted(ids[row], eos) for row in rows], True, eos)
            log_probs, _ = self._log_probs(tokens, targets, None)
            for row, row_log_probs in zip(rows, log_probs, strict=True):
                scores[row] = row_log_probs[: len(ids[row])].double()
        return scores

    def _score_stream(self, ids: Sequence[Tensor]) -> Sequence[Tensor]:
        targets = torch.cat(list(ids))
        tokens = _shifted(targets, self._last).unsqueeze(0)
        if not len(targets):  # a piece such as "<s>"
            return [targets.double()]
        self._last = int(targets[-1])
        log_probs, self._carry = self._log_probs(tokens, targets.unsqueeze(0), self._carry)
        return torch.split(log_probs[0].double(), [len(row) for row in ids])

    def _log_probs(
        self, tokens: Tensor, targets: Tensor, carry: Carry | None
    ) -> tuple[Tensor, Carry | None]:
        pieces = []
        for start in range(0, tokens.shape[1], _MAX_STEPS):
            steps = slice(start, start + _MAX_STEPS)
            states, carry = self._model(tokens[:, steps], carry)
            pieces.append(self._model.head.log_probs(states, targets[:, steps]))
        return torch.cat(pieces, dim=1), carry


def _is_piece(line: InputLine) -> bool:
    return not (line.is_start and line.is_end)


def _shifted(ids: Tensor, first: int) -> Tensor:
    return torch.cat((ids.new_tensor([first]), ids[:-1]))


class Totals:
    """Sums over sentences, from which the perplexities of a text are computed."""

    def __init__(self) -> None:
        self.num_sentences = self.num_tokens = self.num_unknown = 0
        self.log_prob = self.known_log_prob = 0.0

    def add(self, scored: Iterator[Scored]) -> Iterator[Scored]:
        """Adds sentences, and yields them again."""
        for one in scored:
            known = itertools.compress(one.log_probs, (not unknown for unknown in one.is_unknown))
            self.num_sentences += one.line.is_end
            self.num_tokens += len(one.tokens)
            self.num_unknown += one.num_unknown
            self.log_prob += one.log_prob
            self.known_log_prob += math.fsum(known)
            yield one

    def summary(self, unit: Unit, vocab_size: int) -> str:
        """Returns a note with the sums and the perplexities with and without unknown tokens.

        `vocab_size` includes `<eos>` and `<unk>`.
        """
        whole = perplexity(self.log_prob, self.num_tokens)
        num_known = self.num_tokens - self.num_unknown  # each sentence has an <eos>, so not 0
        known = perplexity(self.known_log_prob, num_known)
        bits = -self.log_prob / self.num_tokens / math.log(2)
        in_bits = f", {bits:.4f} bits per character" if unit == "character" else ""
        return (
            f"{self.num_sentences:,} sentence{'s' * (self.num_sentences != 1)}, "
            f"{self.num_tokens:,} tokens including one <eos> per sentence; {self.num_unknown:,} "
            f"tokens are unknown: not among the model's {vocab_size:,} {unit}s, or written <unk>\n"
            f"log-probability {self.log_prob:.4f} (natural logarithm), "
            f"{self.log_prob / math.log(10):.4f} (base 10)\n"
            f"perplexity including unknown {unit}s {whole:.4f}: over all {self.num_tokens:,} "
            f"tokens; unknown {unit}s are scored as <unk>{in_bits}\n"
            f"perplexity excluding unknown {unit}s {known:.4f}: over the other {num_known:,} "
            f"tokens; unknown {unit}s are read as context but not counted"
        )
