"""Katz smoothing of n-gram models."""

import numpy as np

from pipeline.ngrams.counting import Counts, Flags, Floats, Ints, OrderCounts
from pipeline.ngrams.smoothing import (
    Estimated,
    Order,
    Smoothing,
    assemble,
    check_cut_offs,
    cut_off,
    num_contexts,
    per_context,
    shorter,
)

_NOTHING_LEFT = 3e-6  # SRILM's Prob_Epsilon


class Katz(Smoothing):
    """Katz backoff with Good-Turing discounts (Katz 1987).

    An n-gram seen r times has p(w | h) = d(r) r / c(h). Any other n-gram has beta(h) p(w | h
    without its first word), where beta(h) normalizes the sum to 1. Let n_r be the number of n-grams
    of an order seen r times and r* = (r + 1) n_{r+1} / n_r. For r up to k, d(r) = (r* / r - A) /
    (1 - A) with A = (k + 1) n_{k+1} / n_1; for larger r, d(r) = 1 (Chen & Goodman 1999). Unigrams
    back off to 1 / V.

    Special cases follow SRILM. A context without any discounted n-gram has no probability left for
    backing off, so its count is increased by 1. A context that is followed by all words needs no
    backoff, so its probabilities are normalized. Where d(r) is not in (0, 1], as in small texts and
    texts of characters, counts of r are not discounted.

    Args:
        highest: Highest count k that is discounted.
        min_counts: Minimum count of n-grams to keep, for order 1, 2, and so on. The last entry
            applies to all higher orders. None keeps all n-grams.

    Raises:
        ValueError: If `highest` is below 1, or `min_counts` decreases or does not start with 1.

    Example:
        >>> from pipeline.ngrams import count
        >>> text = np.array([2, 3, 2, 3, 2, 0])  # "a b a b a", the words are <eos> <unk> a b
        >>> estimated = Katz(highest=1).estimate(count(text, eos_id=0, vocab_size=4, order=2))
        >>> round(float(estimated.model.distribution(np.array([[2]])).sum()), 6)
        1.0
    """

    def __init__(self, highest: int = 5, min_counts: list[int] | None = None) -> None:
        if highest < 1:
            raise ValueError(
                f"highest, the highest count that is discounted, must be at least 1, got {highest}"
            )
        check_cut_offs(min_counts)
        self.highest, self.min_counts = highest, min_counts

    def estimate(self, counts: Counts) -> Estimated:
        """See `Smoothing`."""
        estimates: list[Order] = []
        notes: list[str] = []
        below: Floats | None = None
        for index, order in enumerate(counts.orders):
            ratios = discount_ratios(order.counts, self.highest)
            if undiscounted := [r for r in range(1, self.highest + 1) if ratios[r] == 1]:
                notes.append(_note(index + 1, undiscounted))
            amounts = ratios[np.minimum(order.counts, self.highest + 1)] * order.counts
            is_kept = (order.counts > 0) & (order.counts >= cut_off(self.min_counts, index))
            lower = shorter(order, below, counts.vocab_size)
            size = num_contexts(counts.orders, index)
            estimates.append(_order(order, size, amounts, lower, is_kept, counts.vocab_size))
            below = estimates[-1].probs
        return Estimated(assemble(counts, estimates), notes)


def discount_ratios(counts: Ints, highest: int) -> Floats:
    """Computes the Good-Turing discount ratios d(0) to d(highest + 1) of `Katz`.

    `counts` [ngram] are those of one order. The last ratio is 1 and applies to all higher counts.
    """
    numbers = np.bincount(np.minimum(counts, highest + 2), minlength=highest + 3).astype(np.float64)
    r = np.arange(1, highest + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (highest + 1) * numbers[highest + 1] / numbers[1]
        ratios = ((r + 1) * numbers[2 : highest + 2] / numbers[r] / r - share) / (1 - share)
    in_range = (ratios > 0) & (ratios <= 1)  # false for nan
    return np.concatenate([[1.0], np.where(in_range, ratios, 1.0), [1.0]])


def _order(
    order: OrderCounts, size: int, amounts: Floats, lower: Floats, is_kept: Flags, vocab_size: int
) -> Order:
    kept = np.where(is_kept, amounts, 0.0)
    totals = per_context(order, size, order.counts)
    sums = per_context(order, size, kept)
    num_kept = per_context(order, size, is_kept.astype(np.int64))
    is_full = num_kept == vocab_size
    totals[(sums > (1 - _NOTHING_LEFT) * totals) & ~is_full] += 1
    totals[is_full] = sums[is_full]
    shares = np.divide(kept, totals[order.prefixes], out=np.zeros(len(kept)), where=is_kept)
    left = 1 - per_context(order, size, shares)
    left_below = 1 - per_context(order, size, np.where(is_kept, lower, 0.0))
    backoffs = np.divide(left, left_below, out=np.ones(size), where=(num_kept > 0) & ~is_full)
    backoffs[is_full] = 0.0
    probs = np.where(is_kept, shares, backoffs[order.prefixes] * lower)
    return Order(probs, backoffs, is_kept)


def _note(order: int, undiscounted: list[int]) -> str:
    shown = ", ".join(map(str, undiscounted))
    return (
        f"the Good-Turing discounts of order {order} are undefined or out of range for n-grams "
        f"seen {shown} times; these n-grams are not discounted"
    )
