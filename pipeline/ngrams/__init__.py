"""N-gram language models: counts, estimates, and the ARPA format; no torch here."""

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
