"""Windows of random lengths, so that no epoch is cut where the one before was."""

from collections.abc import Callable

import numpy as np

from pipeline.errors import InputError

LEAST = 5
"""No window but an epoch's last is shorter."""
MARGIN = 20
"""No window is longer than bptt by more: at four deviations, one in 30,000 would be, and might need
more memory than there is."""
_DEVIATION, _FULL_CHANCE = 5, 0.95
_TRIALS = 51


class RandomWindows:
    """Cuts an epoch into windows of random lengths (Merity et al. 2018, section 4.1).

    A length is drawn from N(bptt, 5) with chance 0.95 and from N(bptt / 2, 5) else, its fraction is
    dropped, and it is brought into [5, bptt + 20]; the last window ends where the text does.
    Of such draws the first one is taken that has the usual number of windows, so that this number
    is the same in each epoch: what is logged, scheduled and resumed counts on it.

    The cuts are a function of the text's length, `bptt`, the seed and the epoch.

    Args:
        bptt: the usual length of a window.
        seed: of the draws.
        epoch: tells the epoch.

    Raises:
        InputError: `bptt` is below 5.
    """

    def __init__(self, bptt: int, seed: int, epoch: Callable[[], int]) -> None:
        if bptt < LEAST:
            raise InputError(
                f"bptt is {bptt}; with random_bptt {LEAST} or more is expected, the length of the"
                " shortest window"
            )
        self._bptt, self._seed, self._epoch = bptt, seed, epoch

    def num_windows(self, length: int) -> int:
        """Returns the number of windows of an epoch: the median of some draws.

        Args:
            length: steps of a column.
        """
        random = np.random.default_rng(0)
        counts = [len(_draw(length, self._bptt, random)) - 1 for _ in range(_TRIALS)]
        return int(np.median(counts))

    def cuts(self, length: int, num_windows: int) -> np.ndarray:
        """Returns where windows begin in the epoch that it is now, and `length`: [windows + 1].

        Args:
            length: steps of a column.
            num_windows: as `num_windows` gives it for this length.
        """
        random = np.random.default_rng((self._seed, self._epoch()))
        while True:  # the median of 51 is a common one: one draw in ten of the Penn Treebank's
            cuts = _draw(length, self._bptt, random)
            if len(cuts) - 1 == num_windows:
                return cuts


def _draw(length: int, bptt: int, random: np.random.Generator) -> np.ndarray:
    """Draws cuts, of whatever number."""
    cuts = np.zeros(1, dtype=np.int64)
    while cuts[-1] < length:
        size = 2 * (length - int(cuts[-1])) // bptt + 2
        means = np.where(random.random(size) < _FULL_CHANCE, bptt, bptt / 2)
        widths = random.normal(means, _DEVIATION).astype(np.int64).clip(LEAST, bptt + MARGIN)
        cuts = np.concatenate([cuts, cuts[-1] + widths.cumsum()])
    return np.append(cuts[cuts < length], length)
