"""Output layers of language models: they map states to a distribution over the vocabulary."""

from pipeline.heads.adaptive import AdaptiveSoftmax
from pipeline.heads.base import OutputLayer
from pipeline.heads.class_softmax.assign import (
    FrequencyBins,
    KMeans,
    SquareRootBins,
    StoredClasses,
    WordClasses,
)
from pipeline.heads.class_softmax.softmax import ClassSoftmax
from pipeline.heads.full.softmax import FullSoftmax
from pipeline.heads.sampled_softmax.criteria import (
    NCE,
    BlackOut,
    Criterion,
    NegativeSampling,
    SampledSoftmax,
)
from pipeline.heads.sampled_softmax.softmax import Sampled
from pipeline.heads.tree_softmax.softmax import HierarchicalSoftmax
from pipeline.heads.tree_softmax.trees import BalancedTree, HuffmanTree, WordTree

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
    "NegativeSampling",
    "OutputLayer",
    "Sampled",
    "SampledSoftmax",
    "SquareRootBins",
    "StoredClasses",
    "WordClasses",
    "WordTree",
]
