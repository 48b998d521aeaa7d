"""Output layers of language models: from states to a distribution over the vocabulary."""

from pipeline.heads.adaptive import AdaptiveSoftmax
from pipeline.heads.base import OutputLayer
from pipeline.heads.class_based import ClassSoftmax
from pipeline.heads.criteria import NCE, BlackOut, Criterion, NegativeSampling, SampledSoftmax
from pipeline.heads.full import FullSoftmax
from pipeline.heads.hierarchical import HierarchicalSoftmax
from pipeline.heads.kmeans import KMeans
from pipeline.heads.sampled import Sampled
from pipeline.heads.word_classes import (
    FrequencyBins,
    KeptClasses,
    SquareRootBins,
    WordClasses,
)
from pipeline.heads.word_trees import BalancedTree, HuffmanTree, WordTree

__all__ = [
    "NCE",
    "AdaptiveSoftmax",
    "BalancedTree",
    "BlackOut",
    "ClassSoftmax",
    "Criterion",
    "FrequencyBins",
    "FullSoftmax",
    "HierarchicalSoftmax",
    "HuffmanTree",
    "KMeans",
    "KeptClasses",
    "NegativeSampling",
    "OutputLayer",
    "Sampled",
    "SampledSoftmax",
    "SquareRootBins",
    "WordClasses",
    "WordTree",
]
