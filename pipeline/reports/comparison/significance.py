"""Paired tests of the difference between two models on the same items."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.items import ItemScores

_EXACT = 13  # items that differ, up to which all 2 ** 13 exchanges are tried
_DRAWS = 30_000_000  # random numbers of a test
_CHUNK = 2_000_000  # random numbers at a time


class PairedTest(NamedTuple):
    """The difference `other - one` of a score between two models.

    Attributes:
        metric: Name of the score.
        num_items: Number of items.
        one: Score of the first model.
        other: Score of the second model.
        p_value: Probability of a difference at least as large, in either direction, if the models
            were equally good.
        is_exact: Whether all exchanges of items were tried, instead of random ones.
        low: Lower end of the 95 % confidence interval of the difference.
        high: Upper end of the 95 % confidence interval of the difference.
    """

    metric: str
    num_items: int
    one: float
    other: float
    p_value: float
    is_exact: bool
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Score of the second model minus that of the first."""
        return self.other - self.one


def paired_test(one: ItemScores, other: ItemScores) -> PairedTest:
    """Tests the difference between two models by a paired permutation test.

    If the models are equally good, the results of an item can be exchanged between them. The
    p-value is the share of exchanges that give a difference of at least the observed size
    (approximate randomization, Noreen 1989; for NLP Yeh 2000, arXiv cs/0008005). All exchanges are
    tried if at most 13 items differ; else n = 10,000 random ones (fewer for more than 3,000 items,
    but at least 1,000), and the p-value is (count + 1) / (n + 1). The confidence interval is that
    of a paired bootstrap (percentiles) with n samples. The random seeds are fixed.

    Raises:
        ValueError: If the models were not tested on the same items, or there are none.

    Example:
        >>> right = np.array([[1.0] * 6, [1.0] * 6]), np.array([[0.0] * 6, [1.0] * 6])
        >>> test = paired_test(*(ItemScores("accuracy", "", values) for values in right))
        >>> test.difference, test.p_value  # 2 of the 64 exchanges
        (-1.0, 0.03125)
    """
    if (one.metric, one.digest, one.values.shape) != (
        other.metric,
        other.digest,
        other.values.shape,
    ):
        raise ValueError("the items of the two tests differ")
    if not one.values.size:
        raise ValueError("there are no items")
    differs = (one.values != other.values).any(axis=0)
    first, second = (float(x.score(x.values.sum(axis=1))) for x in (one, other))
    observed = abs(second - first)
    num_differing = int(differs.sum())
    is_exact = num_differing <= _EXACT
    samples = min(10_000, max(1_000, _DRAWS // one.values.shape[1]))
    count, total = 0, 0
    half = (one.values + other.values).sum(axis=1) / 2
    gap = (one.values - other.values)[:, differs] / 2
    for signs in _signs(num_differing, is_exact, samples):
        moved = gap @ signs.T  # [column sample]
        sums = half[:, None]
        found = np.abs(one.score(sums + moved) - one.score(sums - moved))
        count += int((found >= observed - 1e-9 * max(abs(first), abs(second))).sum())
        total += len(signs)
    p_value = count / total if is_exact else (count + 1) / (total + 1)
    low, high = _interval(one, other, samples)
    return PairedTest(one.metric, one.values.shape[1], first, second, p_value, is_exact, low, high)


def _signs(count: int, is_exact: bool, samples: int) -> Iterator[NDArray[np.float64]]:
    """Yields signs for `count` items [sample item]: all combinations, or random ones in parts."""
    if is_exact:
        yield np.array(list(itertools.product((1.0, -1.0), repeat=count)))
        return
    generator = np.random.default_rng(1)
    step = max(1, _CHUNK // count)
    for at in range(0, samples, step):
        yield generator.choice((-1.0, 1.0), size=(min(step, samples - at), count))


def _interval(one: ItemScores, other: ItemScores, samples: int) -> tuple[float, float]:
    generator = np.random.default_rng(2)
    count = one.values.shape[1]
    step = max(1, _CHUNK // count)
    found = []
    for at in range(0, samples, step):
        drawn = generator.integers(count, size=(min(step, samples - at), count))
        sums = (x.values[:, drawn].sum(axis=2) for x in (one, other))
        first, second = (one.score(values) for values in sums)
        found.append(second - first)
    low, high = np.percentile(np.concatenate(found), (2.5, 97.5))
    return float(low), float(high)
