"""Callbacks that write `best.ckpt` and `last.ckpt`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT

from pipeline.batches import StreamWindow


class BestCheckpoint(Callback):
    """Writes `best.ckpt` whenever the validation score is better than all before.

    Unlike Lightning's `ModelCheckpoint`, it keeps the best score when the folder was moved.

    Attributes:
        best: Best score so far; None before the first validation.
    """

    def __init__(self, path: Path, monitor: str, mode: str) -> None:
        self.path = path
        self.monitor = monitor
        self.best: float | None = None
        self._latest: float | None = None
        self._sign = 1.0 if mode == "min" else -1.0

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"best": self.best, "latest": self._latest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `Callback`."""
        self.best, self._latest = state_dict["best"], state_dict["latest"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the latest score, which learning-rate schedules may monitor."""
        if self._latest is not None:
            score = torch.tensor(self._latest, dtype=torch.float64)
            trainer.callback_metrics[self.monitor] = score

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        score = trainer.callback_metrics.get(self.monitor)
        if trainer.state.fn != "fit" or trainer.sanity_checking or score is None:
            return
        self._latest = float(score)
        if self.best is None or self._sign * self._latest < self._sign * self.best:
            self.best = self._latest
            trainer.save_checkpoint(self.path)


class PeriodicCheckpoint(Callback):
    """Writes `last.ckpt` every n updates and after the first update of each epoch.

    A checkpoint that is due right before a validation is written one update later: from such a
    checkpoint Lightning 2.6 would resume without that validation or without the learning-rate step
    after it (docs/decisions/0003).

    Args:
        path: File to write.
        every_n_steps: Number of updates between two checkpoints.
        on_epoch: Function that is called with the file after the first update of each epoch.
    """

    def __init__(
        self,
        path: Path,
        every_n_steps: int,
        on_epoch: Callable[[Path], None] | None = None,
    ) -> None:
        if every_n_steps < 1:
            raise ValueError(f"checkpoint_every must be at least 1 update, got {every_n_steps}")
        self.path = path
        self.every_n_steps = every_n_steps
        self._on_epoch = on_epoch
        self._is_due = False

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: StreamWindow,
        batch_idx: int,
    ) -> None:
        """See `Callback`."""
        if not is_update(trainer, batch_idx):
            return  # checkpoints do not contain accumulated gradients
        is_first_of_epoch = batch_idx < trainer.accumulate_grad_batches
        self._is_due |= trainer.global_step % self.every_n_steps == 0
        self._is_due |= is_first_of_epoch
        if self._is_due and not _validation_follows(trainer, batch_idx):
            self._is_due = False
            trainer.save_checkpoint(self.path)
            if is_first_of_epoch and self._on_epoch is not None:
                self._on_epoch(self.path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends Lightning's "restarting" state at the end of a resumed epoch.

        Lightning 2.6 ends it later, and would skip the plateau step of the learning rate.
        """
        trainer.fit_loop._restarting = False


def is_update(trainer: Trainer, batch_idx: int) -> bool:
    """Returns whether the optimizer made an update after this batch (else it accumulates)."""
    done = batch_idx + 1
    return done % trainer.accumulate_grad_batches == 0 or done >= trainer.num_training_batches


def _validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    if batch_idx + 1 >= trainer.num_training_batches:
        return True
    loop = trainer.fit_loop.epoch_loop
    index = batch_idx if trainer.check_val_every_n_epoch is not None else loop.total_batch_idx
    every = trainer.val_check_batch
    return every is not None and (index + 1) % every == 0
