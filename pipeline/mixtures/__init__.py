"""Mixtures of language models: their members, weights and caches."""

from pipeline.mixtures.arpa import ArpaLanguageModel, load_arpa
from pipeline.mixtures.caches import Cache, NeuralCache, UnigramCache
from pipeline.mixtures.head import MixtureHead
from pipeline.mixtures.members import card, check_vocabulary, members_of
from pipeline.mixtures.weights import best_weights, mixed

__all__ = [
    "ArpaLanguageModel",
    "Cache",
    "MixtureHead",
    "NeuralCache",
    "UnigramCache",
    "best_weights",
    "card",
    "check_vocabulary",
    "load_arpa",
    "members_of",
    "mixed",
]
