"""Windows of random lengths, so that their bounds differ between epochs."""

from collections.abc import Callable

import numpy as np

from pipeline.errors import InputError

LEAST = 5
"""Minimum length of a window, except for the last one of an epoch."""
MARGIN = 20
"""Maximum excess of a length over bptt: four standard deviations, which one length in 30,000 would
exceed, at the risk of running out of memory."""
_DEVIATION, _FULL_CHANCE = 5, 0.95
_TRIALS = 51


class RandomWindows:
    """Divides an epoch into windows of random lengths (Merity et al. 2018, section 4.1).

    A length is drawn from N(bptt, 5) with probability 0.95, else from N(bptt / 2, 5), rounded down
    and clipped to [5, bptt + 20]; the last window ends with the text. Draws are repeated until the
    number of windows is the typical one, because logging, schedules and resuming require the same
    number in each epoch. The bounds depend only on the length of the text, `bptt`, the seed and the
    epoch. Raises `InputError` if `bptt` is below 5.
    """

    def __init__(self, bptt: int, seed: int, epoch: Callable[[], int]) -> None:
        if bptt < LEAST:
            raise InputError(f"bptt must be at least {LEAST} with random_bptt, got {bptt}")
        self._bptt, self._seed, self._epoch = bptt, seed, epoch

    def num_windows(self, length: int) -> int:
        """Returns the median number of windows of an epoch for columns of `length` steps."""
        random = np.random.default_rng(0)
        counts = [len(_draw(length, self._bptt, random)) - 1 for _ in range(_TRIALS)]
        return int(np.median(counts))

    def cuts(self, length: int, num_windows: int) -> np.ndarray:
        """Returns the bounds of the windows of the current epoch, int64 [num_windows + 1]."""
        random = np.random.default_rng((self._seed, self._epoch()))
        while True:  # about one draw in ten succeeds on the Penn Treebank
            cuts = _draw(length, self._bptt, random)
            if len(cuts) - 1 == num_windows:
                return cuts


def _draw(length: int, bptt: int, random: np.random.Generator) -> np.ndarray:
    """Draws bounds of any number of windows."""
    cuts = np.zeros(1, dtype=np.int64)
    while cuts[-1] < length:
        size = 2 * (length - int(cuts[-1])) // bptt + 2
        means = np.where(random.random(size) < _FULL_CHANCE, bptt, bptt / 2)
        widths = random.normal(means, _DEVIATION).astype(np.int64).clip(LEAST, bptt + MARGIN)
        cuts = np.concatenate([cuts, cuts[-1] + widths.cumsum()])
    return np.append(cuts[cuts < length], length)
