"""Mixtures of language models: their members, weights and caches."""

from pipeline.mixtures.caches import Cache, NeuralCache, UnigramCache
from pipeline.mixtures.head import MixtureHead
from pipeline.mixtures.members import Member, load_member
from pipeline.mixtures.weights import best_weights, mixed

__all__ = [
    "Cache",
    "Member",
    "MixtureHead",
    "NeuralCache",
    "UnigramCache",
    "best_weights",
    "load_member",
    "mixed",
]
