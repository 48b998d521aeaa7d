"""The interface of smoothing methods, which estimate a model from counts, and shared functions."""

import abc
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.ngrams.counting import Counts, Flags, Floats, Ints, OrderCounts
from pipeline.ngrams.model import NgramModel


class Estimated(NamedTuple):
    """An estimated model with notes for the user."""

    model: NgramModel
    notes: list[str]  # one sentence for each deviation, such as an undefined discount


class Smoothing(abc.ABC):
    """Abstract base class of smoothing methods, which estimate an n-gram model from counts.

    Attributes:
        min_counts: Minimum count of n-grams to keep, for order 1, 2, and so on; None keeps all.
    """

    min_counts: list[int] | None = None

    @abc.abstractmethod
    def estimate(self, counts: Counts) -> Estimated:
        """Estimates a model of the highest order; after a context, probabilities sum to 1."""

    def check(self, order: int) -> None:
        """Raises a `ValueError` if `min_counts` has more than `order` entries."""
        if self.min_counts is not None and len(self.min_counts) > order:
            raise ValueError(
                f"min_counts has {len(self.min_counts)} entries, but the model has order {order}; "
                "expected at most one for each order (the last applies to all higher orders)"
            )


class Order(NamedTuple):
    """The estimates of one order."""

    probs: Floats  # probability of each n-gram [ngram]
    backoffs: Floats  # backoff weight of each context, an n-gram one order below [context]
    kept: Flags  # whether an n-gram has its own probability instead of backing off [ngram]


def per_context(order: OrderCounts, num_contexts: int, amounts: Floats | Ints) -> Floats:
    """Returns the sums of amounts [ngram] over the n-grams of each context [context]."""
    sums = np.bincount(order.prefixes, weights=amounts, minlength=num_contexts)
    return sums.astype(np.float64, copy=False)


def shorter(order: OrderCounts, below: Floats | None, vocab_size: int) -> Floats:
    """Returns the probability of each n-gram without its first word [ngram].

    `below` contains the probabilities one order below, or is None for unigrams, which back off to 1
    / `vocab_size`.
    """
    if below is not None:
        result: Floats = below[order.suffixes]
        return result
    return np.where(order.begins, 0.0, 1 / vocab_size)  # `<s>` is never predicted


def num_contexts(orders: Sequence[OrderCounts], index: int) -> int:
    """Returns the number of possible contexts of the n-grams of `orders[index]`."""
    return 1 if index == 0 else len(orders[index - 1].keys)


def assemble(counts: Counts, estimates: Sequence[Order]) -> NgramModel:
    """Builds a model from the estimates of all orders, without redundant n-grams.

    An n-gram that is not kept has the probability of backing off. It is only listed if it is the
    prefix of a longer n-gram that is listed.
    """
    listed = [estimate.kept for estimate in estimates]
    listed[0] = np.ones_like(listed[0])
    for index in range(len(listed) - 1, 1, -1):
        listed[index - 1] = listed[index - 1].copy()
        listed[index - 1][counts.orders[index].prefixes[listed[index]]] = True
    keys, probs, backoffs = [], [], []
    for index, (order, estimate) in enumerate(zip(counts.orders, estimates, strict=True)):
        if index > 0:
            moved = np.cumsum(listed[index - 1]) - 1  # indices after the removals
            words = order.keys[listed[index]] % counts.vocab_size
            prefixes = moved[order.prefixes[listed[index]]]
            keys.append(prefixes * counts.vocab_size + words)
            backoffs.append(estimate.backoffs[listed[index - 1]])
        probs.append(estimate.probs[listed[index]])
    return NgramModel(counts.vocab_size, counts.eos_id, keys, probs, backoffs)


def check_cut_offs(min_counts: Sequence[int] | None) -> None:
    """Raises a `ValueError` if minimum counts decrease, are below 1, or drop unigrams."""
    if min_counts is None:
        return
    if not min_counts or min_counts[0] != 1:
        raise ValueError(
            "min_counts, the minimum counts for order 1, 2, and so on, must start with 1, because "
            f"no unigram can be dropped, got {list(min_counts)}"
        )
    for order, (first, second) in enumerate(itertools.pairwise(min_counts), start=1):
        if second < first:
            raise ValueError(
                f"min_counts must not decrease with the order, got {first} for order {order} and "
                f"{second} for order {order + 1}: an n-gram is kept only if its prefix is kept"
            )


def cut_off(min_counts: Sequence[int] | None, index: int) -> int:
    """Returns the minimum count of n-grams to keep in `orders[index]`."""
    if min_counts is None:
        return 1
    return min_counts[min(index, len(min_counts) - 1)]
