"""Scored sentences as TAB-separated values and as JSON lines, and n-best lists in a new order."""

import json
import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from pipeline.inference.score_files import Hypothesis
from pipeline.inference.scorer import Scored

FEATURE = "Unroll0="
"""The name of our log-probability among the features of a hypothesis."""


class Style(NamedTuple):
    """How sentences are written.

    Attributes:
        name: "tsv" or "jsonl".
        tokens: write each token, too.
        log10: logarithms are to the base 10.
    """

    name: str
    tokens: bool = False
    log10: bool = False

    def lines(self, scored: Scored) -> Iterator[str]:
        """Gives the lines of a sentence.

        In `tsv` a line a sentence: log-probability, tokens, unknown tokens, perplexity. With
        `tokens` a line a token: the sentence's line number, the token, its log-probability, and
        "unknown" or "known". In `jsonl` one object a sentence; a probability of 0 has null for its
        logarithm and its perplexity, as JSON knows no infinity.
        """
        if self.name == "jsonl":
            yield json.dumps(self._object(scored), ensure_ascii=False)
        elif self.tokens:
            yield from self._token_lines(scored)
        else:
            yield "\t".join(
                (
                    f"{self.logarithm(scored.log_prob):.6f}",
                    str(len(scored.tokens)),
                    str(scored.num_unknown),
                    f"{scored.perplexity:.4f}",
                )
            )

    def logarithm(self, natural: float) -> float:
        """Changes the base of a natural logarithm where that was asked for."""
        return natural / math.log(10) if self.log10 else natural

    def _token_lines(self, scored: Scored) -> Iterator[str]:
        for token, is_unknown, log_prob in _tokens(scored):
            word = token.replace("\t", "\\t")  # a character may be one
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
                {
                    "token": token,
                    name: _finite(self.logarithm(log_prob)),
                    "is_unknown": is_unknown,
                }
                for token, is_unknown, log_prob in _tokens(scored)
            ]
        return row


def _tokens(scored: Scored) -> Iterator[tuple[str, bool, float]]:
    return zip(scored.tokens, scored.is_unknown, scored.log_probs, strict=True)


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def reranked(
    scored: Iterable[tuple[Hypothesis, float]], weight: float, only_best: bool
) -> Iterator[str]:
    """Orders each n-best list by score + weight * log-probability, the highest first.

    Args:
        scored: hypotheses with their log-probabilities, the lines of a list together.
        weight: of the log-probability; 0 leaves the scores as they are.
        only_best: gives the first of each list alone.

    Yields:
        The lines `ID ||| hypothesis ||| features ||| score`, our log-probability the last feature
        and the new sum the score; of equal scores the one that came first stays first.
    """
    for _, group in groupby(scored, key=lambda pair: pair[0].list_id):
        rows = [
            (one.score + (weight * log_prob if weight else 0.0), one, log_prob)
            for one, log_prob in group
        ]
        rows.sort(key=itemgetter(0), reverse=True)  # stable, reversed or not
        for total, one, log_prob in rows[:1] if only_best else rows:
            features = f"{one.features} {FEATURE} {log_prob:.6f}".lstrip()
            fields = (one.list_id, one.line.text, features, f"{total:.6f}", *one.rest)
            yield " ||| ".join(fields)
