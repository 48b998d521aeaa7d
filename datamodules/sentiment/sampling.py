"""Which texts an epoch has, where not all of them come once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]


class PhraseSampler:
    """All texts, and some phrases of each, drawn anew in every epoch (Tai et al. 2015, their code).

    Args:
        num_texts: the first rows are texts, in their order; then come their phrases.
        num_phrases: of each text, in the order of rows.
        count: phrases of a text that an epoch has; all, where a text has fewer.

    Attributes:
        size: rows of an epoch.
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
    """As many texts of each label, drawn with replacement; an epoch is as long as without.

    Args:
        labels: id of each text's label.

    Attributes:
        size: texts of an epoch.
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
