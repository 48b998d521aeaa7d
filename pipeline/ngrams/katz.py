"""Katz smoothing."""

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
    """Backing off with Good-Turing discounts (Katz 1987).

    An n-gram seen r times has p(w | h) = d(r) r / c(h), any other beta(h) p(w | h without its first
    word), where beta(h) makes them sum to 1. With n_r the number of n-grams of an order seen r
    times and r* = (r + 1) n_{r+1} / n_r, d(r) = (r* / r - A) / (1 - A) for r up to k, where A =
    (k + 1) n_{k+1} / n_1, and 1 above (Chen & Goodman 1999). Unigrams back off to
    1 / V.

    Two rules make it whole, both SRILM's: a context that keeps nothing to give away, all that
    follows it being frequent, is taken to be seen once more than it was; and one that all words
    follow, so that nothing can be given away, shares it among them.

    Where d(r) is not above 0 and at most 1, as in small texts and in texts of characters, counts of
    r are not discounted, as in SRILM.

    Args:
        highest: k, the highest count that is discounted.
        min_counts: the smallest count that is kept at order 1, 2, and so on; the last entry stands
            for the orders above. All is kept if omitted.

    Raises:
        ValueError: `highest` is below 1; `min_counts` falls with the order, or begins with anything
            but 1.
    """

    def __init__(self, highest: int = 5, min_counts: list[int] | None = None) -> None:
        if highest < 1:
            raise ValueError(f"highest is the highest count that is discounted, got {highest}")
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
                notes.append(_said(index + 1, undiscounted))
            amounts = ratios[np.minimum(order.counts, self.highest + 1)] * order.counts
            is_kept = (order.counts > 0) & (order.counts >= cut_off(self.min_counts, index))
            lower = shorter(order, below, counts.vocab_size)
            size = num_contexts(counts.orders, index)
            estimates.append(_order(order, size, amounts, lower, is_kept, counts.vocab_size))
            below = estimates[-1].probs
        return Estimated(assemble(counts, estimates), notes)


def discount_ratios(counts: Ints, highest: int) -> Floats:
    """Estimates the d(r) of Good and Turing, as `Katz` says.

    Args:
        counts: of an order [ngram].
        highest: k, the highest count that is discounted.

    Returns:
        d(0) to d(highest + 1) [highest + 2]; the last stands for all above, and is 1.
    """
    numbers = np.bincount(np.minimum(counts, highest + 2), minlength=highest + 3).astype(np.float64)
    r = np.arange(1, highest + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (highest + 1) * numbers[highest + 1] / numbers[1]
        ratios = ((r + 1) * numbers[2 : highest + 2] / numbers[r] / r - share) / (1 - share)
    in_range = (ratios > 0) & (ratios <= 1)  # not where they are nan
    return np.concatenate([[1.0], np.where(in_range, ratios, 1.0), [1.0]])


def _order(
    order: OrderCounts,
    size: int,
    amounts: Floats,
    lower: Floats,
    is_kept: Flags,
    vocab_size: int,
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


def _said(order: int, undiscounted: list[int]) -> str:
    shown = ", ".join(map(str, undiscounted))
    return (
        f"the Good-Turing discounts of order {order} are undefined or out of range for n-grams "
        f"seen {shown} times, so these are not discounted"
    )
