"""Output layers of language models: from states to a distribution over the vocabulary."""

from pipeline.heads.base import OutputLayer
from pipeline.heads.class_based import ClassSoftmax
from pipeline.heads.full import FullSoftmax
from pipeline.heads.word_classes import FrequencyBins, SquareRootBins, WordClasses

__all__ = [
    "ClassSoftmax",
    "FrequencyBins",
    "FullSoftmax",
    "OutputLayer",
    "SquareRootBins",
    "WordClasses",
]
