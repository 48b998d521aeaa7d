"""Poolings: from the states of a text to one vector."""

from pipeline.pooling.attention import Attention
from pipeline.pooling.base import Pooling
from pipeline.pooling.fixed import Last, Max, Mean, MeanMax

__all__ = ["Attention", "Last", "Max", "Mean", "MeanMax", "Pooling"]
