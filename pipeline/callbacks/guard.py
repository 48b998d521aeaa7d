"""Stops training when the loss or the weights are not finite."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from pipeline.errors import TrainingError

_ADVICE = (
    "lower the learning rate (--model.optimizer.lr), clip the gradient "
    "(--trainer.gradient_clip_val) or train in float32 (--precision=32-true)"
)


class FiniteGuard(Callback):
    """Raises `TrainingError` for a loss that is not finite, before the update.

    Example:
        >>> guard = FiniteGuard()
        >>> trainer = Trainer(callbacks=[guard], logger=False, enable_checkpointing=False)
        >>> loss = torch.tensor(float("nan"))
        >>> guard.on_before_backward(trainer, LightningModule(), loss)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pipeline.errors.TrainingError: training stopped: the loss is nan at step 1 (epoch 1); ...
    """

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """See `Callback`."""
        if not torch.isfinite(loss):
            raise TrainingError(
                f"training stopped: the loss is {loss.item()} at step {trainer.global_step + 1} "
                f"(epoch {trainer.current_epoch + 1}); {_ADVICE}; earlier checkpoints are kept"
            )

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Raises for weights that are not finite, e.g. after an infinite gradient."""
        for name, parameter in pl_module.named_parameters():
            if not torch.isfinite(parameter).all():
                raise TrainingError(
                    f"training stopped: weights {name} are NaN or infinite at step "
                    f"{trainer.global_step} (epoch {trainer.current_epoch + 1}); {_ADVICE}; "
                    "earlier checkpoints are kept"
                )
