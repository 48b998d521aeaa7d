"""Writes scored sentences as TAB-separated values or as JSON lines."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.inference.scoring.scorer import Scored, perplexity


class ScoreFormat(NamedTuple):
    """The format of scored sentences, "tsv" or "jsonl"; with `tokens`, tokens are written too."""

    name: str
    tokens: bool = False
    log10: bool = False

    def rows(self, scored: Iterable[Scored]) -> Iterator[str]:
        """Yields the lines of sentences, whose pieces "jsonl" needs to hold in RAM."""
        pieces: list[Scored] = []
        sums = [0.0, 0, 0]
        for one in scored:
            if (one.line.is_start and one.line.is_end) or (self.name == "tsv" and self.tokens):
                yield from self.lines(one)
            elif self.name == "jsonl":
                pieces.append(one)
                if one.line.is_end:
                    yield from self.lines(Scored.joined(pieces))
                    pieces = []
            else:
                added = (one.log_prob, len(one.tokens), one.num_unknown)
                sums = [total + more for total, more in zip(sums, added, strict=True)]
                if one.line.is_end:
                    yield self._sums(*sums)
                    sums = [0.0, 0, 0]

    def lines(self, scored: Scored) -> Iterator[str]:
        """Yields the lines of a sentence.

        "tsv" has one line per sentence: log-probability, number of tokens, number of unknown
        tokens, perplexity. With `tokens` it has one line per token: line number of the sentence,
        token, log-probability, "known" or "unknown". "jsonl" has one object per sentence; since
        JSON has no infinity, the logarithm and the perplexity of a probability of 0 are null.
        """
        if self.name == "jsonl":
            yield json.dumps(self._object(scored), ensure_ascii=False)
        elif self.tokens:
            yield from self._token_lines(scored)
        else:
            yield self._sums(scored.log_prob, len(scored.tokens), scored.num_unknown)

    def logarithm(self, natural: float) -> float:
        """Converts a natural logarithm to the base of this format."""
        return natural / math.log(10) if self.log10 else natural

    def _sums(self, log_prob: float, num_tokens: float, num_unknown: float) -> str:
        shown = f"{self.logarithm(log_prob):.6f}\t{num_tokens:.0f}\t{num_unknown:.0f}"
        return f"{shown}\t{perplexity(log_prob, int(num_tokens)):.4f}"

    def _token_lines(self, scored: Scored) -> Iterator[str]:
        for token, is_unknown, log_prob in _tokens(scored):
            word = token.replace("\t", "\\t")  # a character model has TAB as a token
            known = "unknown" if is_unknown else "known"
            yield f"{scored.line.number}\t{word}\t{self.logarithm(log_prob):.6f}\t{known}"

    def _object(self, scored: Scored) -> dict[str, Any]:
        name = "log10_prob" if self.log10 else "log_prob"
        row: dict[str, Any] = {
            "line": scored.line.number,
            "text": scored.line.text,
            name: _finite(self.logarithm(scored.log_prob)),
            "num_tokens": len(scored.tokens),
            "num_unknown": scored.num_unknown,
            "perplexity": _finite(scored.perplexity),
        }
        if self.tokens:
            row["tokens"] = [
                {"token": token, name: _finite(self.logarithm(log_prob)), "is_unknown": is_unknown}
                for token, is_unknown, log_prob in _tokens(scored)
            ]
        return row


def _tokens(scored: Scored) -> Iterator[tuple[str, bool, float]]:
    return zip(scored.tokens, scored.is_unknown, scored.log_probs, strict=True)


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
