"""Kneser-Ney smoothing of n-gram models."""

from collections.abc import Sequence

import numpy as np

from pipeline.ngrams.counting import Counts, Floats, Ints, OrderCounts
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

_FALLBACK = (0.5, 1.0, 1.5)  # KenLM's, for `--discount_fallback`
_FALLBACK_ORIGINAL = (0.75,) * 3


class KneserNey(Smoothing):
    """Interpolated Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999).

    p(w | h) = (a(h w) - D(a(h w))) / a(h) + gamma(h) p(w | h without its first word). Unigrams are
    interpolated with 1 / V. At the highest order, and for n-grams that begin with `<s>`, a is the
    count; otherwise it is the number of distinct words before the n-gram in the text. gamma(h)
    normalizes the probabilities to sum to 1. Discounts are estimated from n_r, the number of
    n-grams of an order with a = r. The original method has the one discount Y = n_1 / (n_1 + 2
    n_2). The modified one has D(1) = 1 - 2 Y n_2 / n_1, D(2) = 2 - 3 Y n_3 / n_2, and D(r) = 3 - 4
    Y n_4 / n_3 for larger r. If they are undefined or out of range, as in small texts and texts of
    characters, the discounts are 0.5, 1 and 1.5 (0.75 for the original).

    Args:
        modified: Whether to use three discounts for each order instead of one.
        min_counts: Minimum `a` of n-grams to keep, for order 1, 2, and so on. The last entry
            applies to all higher orders. As in SRILM, backing off receives the probability of
            dropped n-grams. None keeps all n-grams.

    Raises:
        ValueError: If `min_counts` decreases or does not start with 1.

    Example:
        >>> from pipeline.ngrams import count
        >>> text = np.array([2, 3, 2, 3, 2, 0])  # "a b a b a", the words are <eos> <unk> a b
        >>> estimated = KneserNey().estimate(count(text, eos_id=0, vocab_size=4, order=2))
        >>> round(float(estimated.model.distribution(np.array([[2]])).sum()), 6)
        1.0
        >>> len(estimated.notes)  # the text is too small for estimated discounts, at both orders
        2
    """

    def __init__(self, modified: bool = True, min_counts: list[int] | None = None) -> None:
        check_cut_offs(min_counts)
        self.modified, self.min_counts = modified, min_counts

    def estimate(self, counts: Counts) -> Estimated:
        """See `Smoothing`."""
        estimates: list[Order] = []
        notes: list[str] = []
        below: Floats | None = None
        for index, (order, amounts) in enumerate(
            zip(counts.orders, adjusted_counts(counts), strict=True)
        ):
            discounts = estimate_discounts(amounts, self.modified)
            if discounts is None:
                discounts = _FALLBACK if self.modified else _FALLBACK_ORIGINAL
                notes.append(_note(index + 1, discounts[: 3 if self.modified else 1]))
            lower = shorter(order, below, counts.vocab_size)
            size = num_contexts(counts.orders, index)
            is_kept = amounts >= cut_off(self.min_counts, index)
            estimates.append(_order(order, size, amounts, discounts, lower, is_kept))
            below = estimates[-1].probs
        return Estimated(assemble(counts, estimates), notes)


def adjusted_counts(counts: Counts) -> list[Ints]:
    """Returns the counts of the highest order and the numbers of distinct left words below it.

    Each array is [ngram]. N-grams that begin with `<s>` keep their counts.
    """
    adjusted = [order.counts for order in counts.orders]
    for index, above in enumerate(counts.orders[1:]):
        order = counts.orders[index]
        left = np.bincount(above.suffixes, minlength=len(order.keys))
        adjusted[index] = np.where(order.begins, order.counts, left)
    return adjusted


def estimate_discounts(amounts: Ints, modified: bool) -> tuple[float, float, float] | None:
    """Estimates the discounts of counts of 1, of 2, and of 3 or more (Chen & Goodman 1999).

    Returns None if a denominator is 0 or a discount is not between 0 and the count.
    """
    n1, n2, n3, n4 = (
        int(number) for number in np.bincount(np.minimum(amounts, 5), minlength=5)[1:5]
    )
    if not n1 or not n2 or (modified and not (n3 and n4)):
        return None
    share = n1 / (n1 + 2 * n2)
    if not modified:
        return share, share, share
    discounts = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
    in_range = all(0 <= discount <= count for count, discount in enumerate(discounts, start=1))
    return discounts if in_range else None


def _order(
    order: OrderCounts,
    size: int,
    amounts: Ints,
    discounts: Sequence[float],
    lower: Floats,
    is_kept: np.ndarray,
) -> Order:
    totals = per_context(order, size, amounts)
    taken = np.array([0.0, *discounts])[np.minimum(amounts, 3)]
    taken_per_context = per_context(order, size, taken)
    # A context that is never followed by a word backs off with weight 1.
    backoffs = np.divide(taken_per_context, totals, out=np.ones(size), where=totals > 0)
    probs = (amounts - taken) / totals[order.prefixes] + backoffs[order.prefixes] * lower
    is_dropped = ~is_kept & (amounts > 0)
    if not is_dropped.any():
        return Order(probs, backoffs, np.ones_like(is_kept))
    has_dropped = per_context(order, size, is_dropped.astype(np.int64)) > 0
    left = 1 - per_context(order, size, np.where(is_kept, probs, 0.0))
    left_below = 1 - per_context(order, size, np.where(is_kept, lower, 0.0))
    np.divide(left, left_below, out=backoffs, where=has_dropped)
    return Order(np.where(is_kept, probs, backoffs[order.prefixes] * lower), backoffs, is_kept)


def _note(order: int, discounts: Sequence[float]) -> str:
    values = ", ".join(f"{discount:g}" for discount in discounts)
    return (
        f"the discounts of order {order} cannot be estimated, because the text has too few n-grams "
        f"with small counts; they are set to {values}"
    )
