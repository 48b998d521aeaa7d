"""Mixtures of language models: their members, weights and caches."""

from pipeline.mixtures.arpa import ArpaLanguageModel, load_arpa
from pipeline.mixtures.caches import Cache, NeuralCache, UnigramCache
from pipeline.mixtures.head import MixtureHead
from pipeline.mixtures.members import card, load_member, members_of
from pipeline.mixtures.translation import TranslatedModel
from pipeline.mixtures.weights import best_weights, mixed

__all__ = [
    "ArpaLanguageModel",
    "Cache",
    "MixtureHead",
    "NeuralCache",
    "TranslatedModel",
    "UnigramCache",
    "best_weights",
    "card",
    "load_arpa",
    "load_member",
    "members_of",
    "mixed",
]
