"""Progress where there is no terminal: one line an epoch, and one a minute within long epochs."""

import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT

from pipeline.batches import Window
from pipeline.callbacks.outputs import loss_of
from pipeline.console import say

_SECONDS_BETWEEN_LINES = 60.0


class EpochLines(Callback):
    """Prints a line at the end of each epoch's validation, and a sign of life every minute.

    Args:
        monitor: the validation metric to show.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self._epoch_started = 0.0
        self._last_line = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`; an epoch that is resumed has no start of its own."""
        self._epoch_started = self._last_line = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self._epoch_started = self._last_line = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Window,
        batch_idx: int,
    ) -> None:
        """See `Callback`."""
        if time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            loss = float(loss_of(outputs)) * trainer.accumulate_grad_batches
            self._line(
                trainer, f"step {batch_idx + 1}/{trainer.num_training_batches}  loss {loss:.4f}"
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        score = float(trainer.callback_metrics.get(self.monitor, float("nan")))
        seconds = time.monotonic() - self._epoch_started
        self._line(trainer, f"{self.monitor} {score:.2f}  {seconds:.0f} s")

    def _line(self, trainer: Trainer, text: str) -> None:
        self._last_line = time.monotonic()
        total = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "?"
        say(f"epoch {trainer.current_epoch + 1}/{total}  {text}")
