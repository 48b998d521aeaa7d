"""Adds contexts that an ARPA file does not list, so that its longer n-grams can be indexed."""

from typing import NamedTuple

import numpy as np

from pipeline.ngrams.counting import Floats, Ints
from pipeline.ngrams.model import NgramModel


class Tables(NamedTuple):
    """The tables of `NgramModel`, with backoff weights for the highest order too."""

    vocab_size: int
    eos_id: int
    keys: list[Ints]
    probs: list[Floats]
    backoffs: list[Floats]

    def model(self, order: int) -> NgramModel:
        """Returns the model of the n-grams of length `order` and less."""
        return NgramModel(
            self.vocab_size,
            self.eos_id,
            self.keys[: order - 1],
            self.probs[:order],
            self.backoffs[: order - 1],
        )

    def find(self, words: Ints) -> Ints:
        """Returns the indices of n-grams [ngram length] of word ids; -1 if not listed.

        `<s>` has the id `vocab_size` and can only be the first word.
        """
        model, places = self.model(words.shape[1]), words[:, 0]
        for length in range(2, words.shape[1] + 1):
            places = model.find(length, places, words[:, length - 1])
        return places

    def add(self, words: Ints) -> Ints:
        """Lists n-grams [ngram length], with the probability that they have by backing off.

        Their backoff weights are 1, so no probability changes. Contexts of theirs that are not
        listed are added, too. Returns the new indices of the n-grams of this length that were
        listed before [ngram].
        """
        length = words.shape[1]
        old = self.probs[length - 1]
        new = np.unique(words[self.find(words) < 0], axis=0)
        if length == 1 or not len(new):
            return np.arange(len(old))
        keys, prefixes = self.keys[length - 2], self.find(new[:, :-1])
        if (prefixes < 0).any():
            moved = self.add(new[prefixes < 0, :-1])
            keys = moved[keys // self.vocab_size] * self.vocab_size + keys % self.vocab_size
            self.keys[length - 2] = keys  # still sorted, because the order of prefixes is kept
            prefixes = self.find(new[:, :-1])
        contexts = np.where(new[:, :-1] == self.vocab_size, -1, new[:, :-1])
        probs = np.exp(self.model(length).log_probs_after(contexts, new[:, -1]))
        keys = np.concatenate([keys, prefixes * self.vocab_size + new[:, -1]])
        order = np.argsort(keys, kind="stable")
        self.keys[length - 2] = keys[order]
        self.probs[length - 1] = np.concatenate([old, probs])[order]
        weights = np.concatenate([self.backoffs[length - 1], np.ones(len(new))])
        self.backoffs[length - 1] = weights[order]
        return np.argsort(order, kind="stable")[: len(old)]
