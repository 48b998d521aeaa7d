"""Metrics over a corpus: exact sums that are divided once."""

from pipeline.metrics.labels import LOWER_IS_BETTER, LabelScores
from pipeline.metrics.nll import TextNll, TokenNll, perplexity, token_scores
from pipeline.metrics.spans import SpanScores
from pipeline.metrics.synthetic import CopyScores, SumScores
from pipeline.metrics.tokens import TokenScores

__all__ = [
    "LOWER_IS_BETTER",
    "CopyScores",
    "LabelScores",
    "SpanScores",
    "SumScores",
    "TextNll",
    "TokenNll",
    "TokenScores",
    "perplexity",
    "token_scores",
]
