"""Learning rate schedules that torch lacks, for `lr_scheduler` of a configuration.

`lightning.pytorch.cli.ReduceLROnPlateau` divides the rate when the validation score stops
improving.
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class DecayAfter(LambdaLR):
    """Keeps the learning rate for some epochs, then multiplies it by a factor before each epoch.

    Epoch n, counted from 1, has the rate `lr * factor ** max(0, n - epoch)`. This is the schedule
    of TensorFlow's `ptb_word_lm.py` for Zaremba et al. (2014, arXiv 1409.2329), where `epoch` is
    called `max_epoch`. The small model uses 4 and 0.5 (the fifth epoch is the first at half the
    rate), the medium one 6 and 1 / 1.2. The authors' Lua code divides after an epoch beyond
    `max_epoch`. The sixth epoch is the first at half the rate there, which is `epoch: 5` here.

    Args:
        optimizer: Optimizer whose learning rates are scheduled.
        epoch: Last epoch at the initial learning rate.
        factor: Factor of the learning rate in each later epoch.

    Raises:
        ValueError: If `epoch` is negative or `factor` is not in (0, 1].

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = DecayAfter(optimizer, epoch=1, factor=0.5)
        >>> optimizer.step()
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, epoch: int, factor: float = 0.5) -> None:
        if epoch < 0:
            raise ValueError(f"epoch must be at least 0, got {epoch}")
        if not 0 < factor <= 1:
            raise ValueError(f"factor must be above 0 and at most 1, got {factor}")
        super().__init__(optimizer, lambda finished: factor ** max(0, finished + 1 - epoch))
