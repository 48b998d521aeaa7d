"""From counts to a model: the interface, and what all estimates share."""

import abc
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.ngrams.counting import Counts, Flags, Floats, Ints, OrderCounts
from pipeline.ngrams.model import NgramModel


class Estimated(NamedTuple):
    """A model, and what a person should know of how it was estimated.

    Attributes:
        model: the model.
        notes: a sentence for each thing that was done otherwise than asked for, as where a discount
            is undefined.
    """

    model: NgramModel
    notes: list[str]


class Smoothing(abc.ABC):
    """Gives probability to what a text does not hold.

    Attributes:
        min_counts: the smallest counts that are kept at order 1, 2, and so on; None keeps all.
    """

    min_counts: list[int] | None = None

    @abc.abstractmethod
    def estimate(self, counts: Counts) -> Estimated:
        """Makes a model of the highest order that is counted.

        Args:
            counts: of the training text.

        Returns:
            The model; after each context the probabilities of all words sum to 1.
        """

    def check(self, order: int) -> None:
        """Checks what depends on the highest order.

        Args:
            order: the highest order.

        Raises:
            ValueError: there are more cut-offs than orders.
        """
        if self.min_counts is not None and len(self.min_counts) > order:
            raise ValueError(
                f"min_counts has {len(self.min_counts)} entries for a model of order {order}; give "
                "one for each order, or fewer, the last of which stands for all higher orders"
            )


class Order(NamedTuple):
    """The estimates of one order.

    Attributes:
        probs: of each n-gram [ngram].
        backoffs: of each context, which is an n-gram one order below [context].
        kept: the n-grams that have a probability of their own and not that of backing off [ngram].
    """

    probs: Floats
    backoffs: Floats
    kept: Flags


def per_context(order: OrderCounts, num_contexts: int, amounts: Floats | Ints) -> Floats:
    """Sums amounts [ngram] over what follows each context [context]."""
    sums = np.bincount(order.prefixes, weights=amounts, minlength=num_contexts)
    return sums.astype(np.float64, copy=False)


def shorter(order: OrderCounts, below: Floats | None, vocab_size: int) -> Floats:
    """Gives the probability of each n-gram without its first word [ngram].

    Args:
        order: the n-grams.
        below: probabilities one order below; None for unigrams, below which all words are alike.
        vocab_size: number of words.
    """
    if below is not None:
        result: Floats = below[order.suffixes]
        return result
    return np.where(order.begins, 0.0, 1 / vocab_size)  # `<s>` is never predicted


def num_contexts(orders: Sequence[OrderCounts], index: int) -> int:
    """Returns how many contexts the n-grams of `orders[index]` may have."""
    return 1 if index == 0 else len(orders[index - 1].keys)


def assemble(counts: Counts, estimates: Sequence[Order]) -> NgramModel:
    """Makes a model of the estimates of all orders, without the n-grams that say nothing.

    An n-gram that is not kept has the probability of backing off, so it is only listed where a
    longer one that is listed begins with it.
    """
    listed = [estimate.kept for estimate in estimates]
    listed[0] = np.ones_like(listed[0])
    for index in range(len(listed) - 1, 1, -1):
        listed[index - 1] = listed[index - 1].copy()
        listed[index - 1][counts.orders[index].prefixes[listed[index]]] = True
    keys, probs, backoffs = [], [], []
    for index, (order, estimate) in enumerate(zip(counts.orders, estimates, strict=True)):
        if index > 0:
            moved = np.cumsum(listed[index - 1]) - 1  # places after the removals
            words = order.keys[listed[index]] % counts.vocab_size
            prefixes = moved[order.prefixes[listed[index]]]
            keys.append(prefixes * counts.vocab_size + words)
            backoffs.append(estimate.backoffs[listed[index - 1]])
        probs.append(estimate.probs[listed[index]])
    return NgramModel(counts.vocab_size, counts.eos_id, keys, probs, backoffs)


def check_cut_offs(min_counts: Sequence[int] | None) -> None:
    """Checks the smallest counts that are kept.

    Raises:
        ValueError: they fall from an order to the next, or are below 1, or drop unigrams.
    """
    if min_counts is None:
        return
    if not min_counts or min_counts[0] != 1:
        raise ValueError(
            "min_counts gives the smallest count that is kept for order 1, 2, and so on, and "
            f"begins with 1, since no unigram can be dropped, got {list(min_counts)}"
        )
    for order, (first, second) in enumerate(itertools.pairwise(min_counts), start=1):
        if second < first:
            raise ValueError(
                "min_counts cannot fall from an order to the next, since an n-gram is kept only "
                f"if its beginning is, got {first} for order {order} and {second} for order "
                f"{order + 1}"
            )


def cut_off(min_counts: Sequence[int] | None, index: int) -> int:
    """Returns the smallest count that is kept at `orders[index]`."""
    if min_counts is None:
        return 1
    return min_counts[min(index, len(min_counts) - 1)]
