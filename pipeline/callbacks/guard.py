"""Stops training when the loss or the weights are not finite."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from pipeline.callbacks.checkpoints import is_update
from pipeline.errors import TrainingError

_ADVICE = (
    "lower the learning rate (--model.optimizer.lr), clip the gradient "
    "(--trainer.gradient_clip_val) or train in float32 (--precision=32-true)"
)
_NEVER = 2**62  # a step that no training reaches


class FiniteGuard(Callback):
    """Raises `TrainingError` for a loss or for weights that are not finite.

    On a CPU each loss is checked before the update. On any other device that would make the host
    wait for the device in each step, so the losses are kept there and checked together: every
    `every_n_steps` updates, before each validation and each checkpoint, and at the end of an epoch.
    A checkpoint therefore never contains weights that were updated with such a loss. All processes
    of a training check at the same steps and stop together.

    Args:
        every_n_steps: Number of updates between two checks on a device.

    Raises:
        ValueError: If `every_n_steps` is below 1.

    Example:
        >>> guard = FiniteGuard()
        >>> trainer = Trainer(callbacks=[guard], logger=False, enable_checkpointing=False)
        >>> loss = torch.tensor(float("nan"))
        >>> guard.on_before_backward(trainer, LightningModule(), loss)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pipeline.errors.TrainingError: training stopped: the loss is nan at step 1 (epoch 1); ...
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._steps: list[int] = []  # of the losses that are not yet checked
        self._losses: list[Tensor] = []  # [] each, on the device

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets the losses of an earlier training that was interrupted."""
        self._steps, self._losses = [], []

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Checks a loss on the CPU; keeps a loss on another device."""
        if loss.device.type != "cpu":
            self._keep(trainer, loss)
        elif not torch.isfinite(loss):
            step = trainer.global_step + 1
            raise _stopped(f"the loss is {loss.item()} at step {step}", trainer)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,  # noqa: ANN401 (the datamodule's own)
        batch_idx: int,
    ) -> None:
        """Checks the losses since the last check every `every_n_steps` updates."""
        if is_update(trainer, batch_idx) and trainer.global_step % self.every_n_steps == 0:
            self._check(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the losses since the last check."""
        self._check(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the losses since the last check."""
        self._check(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Checks the losses, and the weights, e.g. after an infinite gradient."""
        self._check(trainer)
        if (name := infinite_weights(pl_module)) is not None:
            raise _stopped(
                f"weights {name} are NaN or infinite at step {trainer.global_step}", trainer
            )

    def _keep(self, trainer: Trainer, loss: Tensor) -> None:
        self._steps.append(trainer.global_step + 1)
        self._losses.append(loss.detach())

    def _check(self, trainer: Trainer) -> None:
        if not self._losses:
            return
        steps, losses = self._steps, torch.stack(self._losses)
        self._steps, self._losses = [], []
        values = losses.tolist()  # waits for the device
        bad = (step for step, loss in zip(steps, values, strict=True) if not math.isfinite(loss))
        first = torch.tensor(next(bad, _NEVER), device=losses.device)
        step = int(trainer.strategy.reduce(first, reduce_op="min"))
        if step < _NEVER:
            raise _stopped(
                f"the loss was NaN or infinite at step {step}, found at step {steps[-1]}", trainer
            )


def _stopped(reason: str, trainer: Trainer) -> TrainingError:
    return TrainingError(
        f"training stopped: {reason} (epoch {trainer.current_epoch + 1}); {_ADVICE}; earlier "
        "checkpoints are kept"
    )


def infinite_weights(module: LightningModule) -> str | None:
    """Returns the name of the first parameter that is not finite, if there is one."""
    named = {name: p.detach() for name, p in module.named_parameters() if p.is_floating_point()}
    # One number for all parameters: reading one for each would wait as often for a device.
    norm = torch.nn.utils.get_total_norm(list(named.values()))
    if torch.isfinite(norm):
        return None
    # The norm of large finite weights can overflow, so there may be none.
    return next((name for name, p in named.items() if not torch.isfinite(p).all()), None)
