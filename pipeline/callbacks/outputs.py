"""What callbacks read off Lightning after a training step."""

from collections.abc import Mapping

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor


def loss_of(outputs: STEP_OUTPUT) -> Tensor | None:
    """Returns the loss of a training step, detached []; None for a task that has no gradient."""
    assert isinstance(outputs, Mapping), "Lightning gives a mapping"
    loss: Tensor | None = outputs.get("loss")
    return None if loss is None else loss.detach()


def is_update(trainer: Trainer, batch_idx: int) -> bool:
    """Tells whether the optimiser stepped after this batch, or gradients are being accumulated."""
    done = batch_idx + 1
    return done % trainer.accumulate_grad_batches == 0 or done >= trainer.num_training_batches
