"""N-gram language models: counting, smoothing and the ARPA format. Nothing here imports torch."""

from pipeline.ngrams.arpa import write_arpa
from pipeline.ngrams.arpa_reader import read_arpa
from pipeline.ngrams.counting import Counts, count
from pipeline.ngrams.katz import Katz
from pipeline.ngrams.kneser_ney import KneserNey
from pipeline.ngrams.model import NgramModel
from pipeline.ngrams.simple import AddDelta, MaximumLikelihood, StupidBackoff
from pipeline.ngrams.smoothing import Estimated, Smoothing

__all__ = [
    "AddDelta",
    "Counts",
    "Estimated",
    "Katz",
    "KneserNey",
    "MaximumLikelihood",
    "NgramModel",
    "Smoothing",
    "StupidBackoff",
    "count",
    "read_arpa",
    "write_arpa",
]
