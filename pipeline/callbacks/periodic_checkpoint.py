"""The checkpoint that a killed run goes on from."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT

from pipeline.batches import Window


class PeriodicCheckpoint(Callback):
    """Writes `last.ckpt` every n updates and after the first update of an epoch.

    It never writes at the last update of an epoch: between that update and the next epoch lie
    validation and the learning-rate schedule, and Lightning 2.6 resumes there with one of them
    skipped. The first update of the next epoch holds the same knowledge and has no such trap
    (docs/decisions/0003).

    Args:
        path: the file.
        every_n_steps: updates between two checkpoints.

    Raises:
        ValueError: `every_n_steps` is below 1.
    """

    def __init__(self, path: Path, every_n_steps: int) -> None:
        if every_n_steps < 1:
            raise ValueError(f"checkpoint_every must be at least 1 update, got {every_n_steps}")
        self.path = path
        self.every_n_steps = every_n_steps

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Window,
        batch_idx: int,
    ) -> None:
        """See `Callback`."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # gradients that are being accumulated are in no checkpoint
        is_due = trainer.global_step % self.every_n_steps == 0
        is_first_of_epoch = (
            batch_idx < trainer.accumulate_grad_batches and trainer.current_epoch > 0
        )
        is_last_of_epoch = batch_idx + 1 >= trainer.num_training_batches
        if (is_due or is_first_of_epoch) and not is_last_of_epoch:
            trainer.save_checkpoint(self.path)
