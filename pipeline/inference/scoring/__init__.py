"""Scores a user's sentences with a language model, and re-ranks n-best lists."""

from pipeline.inference.scoring.nbest import Hypothesis, read_nbest, rerank
from pipeline.inference.scoring.output_formats import ScoreFormat
from pipeline.inference.scoring.scorer import Scored, Scorer, Totals
from pipeline.inference.scoring.sentence_files import InputLine, read_lines

__all__ = [
    "Hypothesis",
    "InputLine",
    "ScoreFormat",
    "Scored",
    "Scorer",
    "Totals",
    "read_lines",
    "read_nbest",
    "rerank",
]
