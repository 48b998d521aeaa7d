"""Measures the seconds between two steps of a training."""

import json
import time
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT

from pipeline.batches import StreamWindow


class Clock(Callback):
    """Writes how long the steps after the warm-up took.

    Args:
        path: file of JSON: steps, seconds.
        warm_up: steps that do not count.
    """

    def __init__(self, path: str, warm_up: int) -> None:
        self.path = Path(path)
        self.warm_up = warm_up
        self._start = 0.0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: StreamWindow,
        batch_idx: int,
    ) -> None:
        """See `Callback`."""
        if trainer.global_step == self.warm_up:
            self._start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        seconds = time.perf_counter() - self._start
        measured = {"steps": trainer.global_step - self.warm_up, "seconds": seconds}
        self.path.write_text(json.dumps(measured), encoding="utf-8")
