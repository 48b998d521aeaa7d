"""Stops training that has blown up, before it can spoil a checkpoint."""

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
    """Raises `TrainingError` at the first loss that is not finite, before its update is made."""

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """See `Callback`."""
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} at step {trainer.global_step + 1} (epoch "
                f"{trainer.current_epoch + 1}), so training stopped; {_ADVICE}; the checkpoints "
                "written before are kept"
            )

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuses to write weights that an infinite gradient destroyed (the loss was finite)."""
        for name, parameter in pl_module.named_parameters():
            if not torch.isfinite(parameter).all():
                raise TrainingError(
                    f"the weights {name} became NaN or infinite by step {trainer.global_step} "
                    f"(epoch {trainer.current_epoch + 1}), so training stopped; {_ADVICE}; the "
                    "checkpoints written before are kept"
                )
