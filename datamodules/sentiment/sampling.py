"""Samplers that choose the texts of each epoch."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]


class PhraseSampler:
    """Chooses all texts and `count` random phrases of each text (Tai et al. 2015, their code).

    The texts are the first rows, followed by their phrases; texts with fewer phrases use all.

    Example:
        >>> sampler = PhraseSampler(num_texts=2, num_phrases=[3, 1], count=1)
        >>> sampler(np.random.default_rng(1))
        array([0, 1, 2, 5])
    """

    def __init__(self, num_texts: int, num_phrases: Sequence[int], count: int) -> None:
        self._num_texts, self._count = num_texts, count
        self._ends = num_texts + np.cumsum(np.asarray(num_phrases, dtype=np.int64))
        self._starts = self._ends - np.asarray(num_phrases, dtype=np.int64)
        self.size = num_texts + int(np.minimum(num_phrases, count).sum())

    def __call__(self, random: np.random.Generator) -> _Ints:
        """See `EpochSampler`."""
        drawn = [np.arange(self._num_texts)]
        for start, end in zip(self._starts, self._ends, strict=True):
            chosen = random.permutation(end - start)[: self._count]
            drawn.append(start + chosen)
        return np.concatenate(drawn)


class BalancedSampler:
    """Samples as many texts as there are, with replacement, the same number for each label.

    Example:
        >>> labels = [0, 0, 0, 1]
        >>> rows = BalancedSampler(labels)(np.random.default_rng(1))
        >>> [labels[row] for row in rows]
        [0, 0, 1, 1]
    """

    def __init__(self, labels: Sequence[int]) -> None:
        ids = np.asarray(labels, dtype=np.int64)
        self._rows = [np.flatnonzero(ids == label) for label in np.unique(ids)]
        self.size = len(ids)

    def __call__(self, random: np.random.Generator) -> _Ints:
        """See `EpochSampler`."""
        count = len(self._rows)
        sizes = [self.size // count + (place < self.size % count) for place in range(count)]
        return np.concatenate(
            [random.choice(rows, size) for rows, size in zip(self._rows, sizes, strict=True)]
        )
