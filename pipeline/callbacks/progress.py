"""Training progress: a bar in terminals, and a line after each validation."""

import sys
import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from pipeline.batches import StreamWindow
from pipeline.callbacks.run_log import loss_of
from pipeline.console import print_note

_SECONDS_BETWEEN_LINES = 60.0


class Bar(RichProgressBar):
    """Lightning's progress bar on stderr, with the score `monitor`."""

    def __init__(self, monitor: str) -> None:
        super().__init__(refresh_rate=10, console_kwargs={"stderr": True})
        self.monitor = monitor
        self._score: Tensor | None = None  # that `_shown` is the text of
        self._shown = ""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """See `RichProgressBar`."""
        score = trainer.callback_metrics.get(self.monitor)
        if score is None:
            return {}
        if score is not self._score:  # reading it after each batch would wait for a GPU as often
            self._score, self._shown = score, f"{float(score):.5g}"
        return {self.monitor: self._shown}


class EpochLines(Callback):
    """Prints a line after each validation, and outside terminals at least once a minute."""

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self._epoch_started = 0.0
        self._last_line = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock, since a resumed epoch has no `on_train_epoch_start`."""
        self._epoch_started = self._last_line = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self._epoch_started = self._last_line = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: StreamWindow,
        batch_idx: int,
    ) -> None:
        """See `Callback`."""
        is_silent = time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES
        if is_silent and not sys.stderr.isatty():  # a terminal has a bar
            loss = loss_of(outputs)
            scale = trainer.accumulate_grad_batches
            shown = "" if loss is None else f"  loss {float(loss) * scale:.4f}"
            self._line(trainer, f"step {batch_idx + 1}/{trainer.num_training_batches}{shown}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        score = float(trainer.callback_metrics.get(self.monitor, float("nan")))
        seconds = time.monotonic() - self._epoch_started
        self._line(trainer, f"{self.monitor} {score:.5g}  {seconds:.0f} s")

    def _line(self, trainer: Trainer, text: str) -> None:
        self._last_line = time.monotonic()
        total = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "?"
        print_note(f"epoch {trainer.current_epoch + 1}/{total}  {text}")
