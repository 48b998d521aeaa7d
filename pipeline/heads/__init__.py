"""Output layers of language models: from states to a distribution over the vocabulary."""

from pipeline.heads.base import OutputLayer
from pipeline.heads.full import FullSoftmax

__all__ = ["FullSoftmax", "OutputLayer"]
