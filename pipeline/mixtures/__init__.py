"""Mixtures of language models: their members, weights and caches."""

from pipeline.mixtures.caches import Cache, NeuralCache, UnigramCache
from pipeline.mixtures.head import MixtureHead
from pipeline.mixtures.members import card, check_vocabulary, members_of
from pipeline.mixtures.weights import best_weights, mixed

__all__ = [
    "Cache",
    "MixtureHead",
    "NeuralCache",
    "UnigramCache",
    "best_weights",
    "card",
    "check_vocabulary",
    "members_of",
    "mixed",
]
