"""The estimates of the textbooks: maximum likelihood, add-delta, stupid backoff."""

import math

import numpy as np

from pipeline.ngrams.counting import Counts, Floats, OrderCounts
from pipeline.ngrams.smoothing import (
    Estimated,
    Order,
    Smoothing,
    assemble,
    num_contexts,
    per_context,
    shorter,
)


class MaximumLikelihood(Smoothing):
    """Relative frequencies: p(w | h) = c(h w) / c(h).

    What never followed a context has probability 0 after it. A context that the text does not hold
    has no relative frequencies: there the longest end of it that the text holds is taken.
    """

    def estimate(self, counts: Counts) -> Estimated:
        """See `Smoothing`."""
        estimates = []
        for index, order in enumerate(counts.orders):
            totals = per_context(order, num_contexts(counts.orders, index), order.counts)
            kept = np.ones(len(order.keys), dtype=np.bool_)
            probs = order.counts / totals[order.prefixes]
            estimates.append(Order(probs, np.where(totals > 0, 0.0, 1.0), kept))
        return Estimated(assemble(counts, estimates), [])


class AddDelta(Smoothing):
    """Each word is counted `delta` times more than it occurs (Lidstone 1920; Laplace at 1).

    p(w | h) = (c(h w) + delta) / (c(h) + delta V), where h is all order-1 words, or those since the
    sentence's beginning. After a context that the text does not hold all words are alike.

    Args:
        delta: what is added.

    Raises:
        ValueError: `delta` is not above 0.
    """

    def __init__(self, delta: float = 1.0) -> None:
        if not 0 < delta < math.inf:
            raise ValueError(f"delta is added to each count, so it is above 0, got {delta}")
        self.delta = delta

    def estimate(self, counts: Counts) -> Estimated:
        """See `Smoothing`."""
        estimates = []
        for index, order in enumerate(counts.orders):
            is_highest = index == len(counts.orders) - 1
            below = counts.orders[index - 1].begins if index else np.zeros(1, dtype=np.bool_)
            estimates.append(self._order(order, below | is_highest, counts.vocab_size))
        return Estimated(assemble(counts, estimates), [])

    def _order(self, order: OrderCounts, is_whole: np.ndarray, vocab_size: int) -> Order:
        """Estimates after the contexts that are whole [context]; after others all are alike."""
        totals = per_context(order, len(is_whole), order.counts) + self.delta * vocab_size
        probs = (order.counts + self.delta) / totals[order.prefixes]
        kept = is_whole[order.prefixes]
        backoffs = np.where(is_whole, self.delta * vocab_size / totals, 1.0)
        alike = shorter(order, None, vocab_size) if len(is_whole) == 1 else 1 / vocab_size
        return Order(np.where(kept, probs, alike), backoffs, kept)


class StupidBackoff(Smoothing):
    """Relative frequencies, and `alpha` a word given up (Brants et al. 2007, eq. 5), normalised.

    S(w | h) = c(h w) / c(h) if that is above 0, else alpha S(w | h without its first word). These
    scores do not sum to 1, and a perplexity needs what does, so the model is p(w | h) = S(w | h) /
    Z(h), where Z(h) is the sum of S over all words: it ranks words after a context as the scores
    do. Words that the text does not hold, of which the paper says nothing, back off to 1 / V.

    Args:
        alpha: the factor, 0.4 in the paper.

    Raises:
        ValueError: `alpha` is not in (0, 1].
    """

    def __init__(self, alpha: float = 0.4) -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha is a factor for each word given up, in (0, 1], got {alpha}")
        self.alpha = alpha

    def estimate(self, counts: Counts) -> Estimated:
        """See `Smoothing`."""
        estimates: list[Order] = []
        scores: Floats | None = None
        sums = np.ones(1)  # Z of the contexts, of one word fewer in each round before
        suffixes = np.zeros(1, dtype=np.int64)  # of the contexts
        for index, order in enumerate(counts.orders):
            is_held = order.counts > 0
            size = num_contexts(counts.orders, index)
            totals = per_context(order, size, order.counts)
            below = shorter(order, scores, counts.vocab_size)
            left = sums[suffixes] - per_context(order, size, np.where(is_held, below, 0.0))
            sums_here = np.where(totals > 0, 1 + self.alpha * left, sums[suffixes])
            relative = order.counts / totals[order.prefixes]
            scores = np.where(is_held, relative, self.alpha * below)
            backoffs = np.where(totals > 0, self.alpha * sums[suffixes] / sums_here, 1.0)
            probs = scores / sums_here[order.prefixes]
            estimates.append(Order(probs, backoffs, np.ones_like(is_held)))
            sums, suffixes = sums_here, order.suffixes
        return Estimated(assemble(counts, estimates), [])
