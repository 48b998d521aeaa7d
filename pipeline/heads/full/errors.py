"""The nll of targets and its gradient by the logits, in the memory of the logits."""

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX


def nll_and_errors(logits: Tensor, targets: Tensor) -> Tensor:
    """Sums the nll of targets [rows] under logits [rows outputs], in nats, [].

    The logits become the gradient of the sum. Rows with `IGNORE_INDEX` have no loss and a gradient
    of 0. The nll of a row is at most that of the smallest normal number of the data type of the
    logits; its gradient has no limit.
    """
    # In place: torch's kernel reads a whole row before writing it (a test compares a copy).
    probs = torch.softmax(logits, dim=-1, out=logits)
    real = targets != IGNORE_INDEX
    index = targets.where(real, 0)
    of_targets = probs.gather(1, index.unsqueeze(1)).squeeze(1)  # rejects an id out of range
    # The gradient of the nll by the logits. `scatter_` and a mask would touch every element.
    probs[torch.arange(len(targets)), index] = of_targets - 1
    probs.index_fill_(0, torch.nonzero(~real).squeeze(1), 0)
    accurate = of_targets.to(torch.promote_types(logits.dtype, torch.float32))
    nll = -accurate.clamp_min(torch.finfo(logits.dtype).tiny).log()
    return nll.where(real, 0).sum()
