"""Textbook estimates of n-gram models: maximum likelihood, add-delta, stupid backoff."""

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
    """Maximum likelihood, the relative frequencies p(w | h) = c(h w) / c(h).

    A word that never followed a context has probability 0. A context that is not in the text is
    replaced by its longest suffix that is in the text.

    Example:
        >>> from pipeline.ngrams import count
        >>> counts = count(np.array([2, 3, 2, 0]), eos_id=0, vocab_size=4, order=2)  # "a b a"
        >>> MaximumLikelihood().estimate(counts).model.distribution(np.array([[2]])).tolist()
        [[0.5, 0.0, 0.0, 0.5]]
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
    """Add-delta smoothing, which adds `delta` to each count (Lidstone 1920; Laplace if 1).

    p(w | h) = (c(h w) + delta) / (c(h) + delta V), where h is the order-1 words before w, or those
    since the beginning of the sentence. The distribution after an unseen context is uniform.

    Args:
        delta: Number added to each count.

    Raises:
        ValueError: If `delta` is not above 0.

    Example:
        >>> from pipeline.ngrams import count
        >>> counts = count(np.array([2, 3, 2, 0]), eos_id=0, vocab_size=4, order=2)  # "a b a"
        >>> AddDelta(delta=1.0).estimate(counts).model.distribution(np.array([[3]])).tolist()
        [[0.2, 0.2, 0.4, 0.2]]
    """

    def __init__(self, delta: float = 1.0) -> None:
        if not 0 < delta < math.inf:
            raise ValueError(f"delta, which is added to each count, must be above 0, got {delta}")
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
        """Estimates the n-grams of complete contexts [context]; others have a uniform estimate."""
        totals = per_context(order, len(is_whole), order.counts) + self.delta * vocab_size
        probs = (order.counts + self.delta) / totals[order.prefixes]
        kept = is_whole[order.prefixes]
        backoffs = np.where(is_whole, self.delta * vocab_size / totals, 1.0)
        alike = shorter(order, None, vocab_size) if len(is_whole) == 1 else 1 / vocab_size
        return Order(np.where(kept, probs, alike), backoffs, kept)


class StupidBackoff(Smoothing):
    """Stupid backoff (Brants et al. 2007, eq. 5), normalized.

    S(w | h) = c(h w) / c(h) if that is above 0, else alpha S(w | h without its first word). These
    scores do not sum to 1, which a perplexity requires, so the model is p(w | h) = S(w | h) / Z(h),
    where Z(h) is the sum of S over all words. It ranks words like the scores do. Words that are not
    in the text, which the paper does not mention, back off to 1 / V.

    Args:
        alpha: Factor for each word removed from the context; 0.4 in the paper.

    Raises:
        ValueError: If `alpha` is not in (0, 1].

    Example:
        >>> from pipeline.ngrams import count
        >>> counts = count(np.array([2, 3, 2, 0]), eos_id=0, vocab_size=4, order=2)  # "a b a"
        >>> model = StupidBackoff().estimate(counts).model
        >>> model.distribution(np.array([[3]])).argmax()  # "a" follows "b"
        np.int64(2)
    """

    def __init__(self, alpha: float = 0.4) -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha of StupidBackoff must be in (0, 1], got {alpha}")
        self.alpha = alpha

    def estimate(self, counts: Counts) -> Estimated:
        """See `Smoothing`."""
        estimates: list[Order] = []
        scores: Floats | None = None
        sums = np.ones(1)  # Z of the contexts, one order below
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
