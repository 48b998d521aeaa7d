"""Learning-rate schedules that torch does not have, for `lr_scheduler` of a configuration.

(Dividing the rate on a plateau of the validation score is
`lightning.pytorch.cli.ReduceLROnPlateau`.)
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class DecayAfter(LambdaLR):
    """Keeps the rate for some epochs and multiplies it by a factor from then on, before each epoch.

    Epoch n, counted from 1, has the rate `lr * factor ** max(0, n - epoch)`: TensorFlow's
    `ptb_word_lm.py` of Zaremba et al. (2014, arXiv 1409.2329), where `epoch` is `max_epoch`. The
    small model has 4 and 0.5 (the fifth epoch is the first at half the rate), the medium one 6 and
    1 / 1.2. The authors' Lua code divides *after* an epoch beyond `max_epoch`, so there the sixth
    epoch is the first at half the rate: that is `epoch: 5` here.

    Args:
        optimizer: whose rates to set, each group from its own.
        epoch: the last epoch at the full rate.
        factor: multiplies the rate of each later epoch.

    Raises:
        ValueError: `epoch` is negative, **or** `factor` is not in (0, 1].
    """

    def __init__(self, optimizer: Optimizer, epoch: int, factor: float = 0.5) -> None:
        if epoch < 0:
            raise ValueError(f"epoch must be 0 or more, got {epoch}")
        if not 0 < factor <= 1:
            raise ValueError(f"factor must be above 0 and at most 1, got {factor}")
        # torch calls it with the number of epochs that are over.
        super().__init__(optimizer, lambda over: factor ** max(0, over + 1 - epoch))
