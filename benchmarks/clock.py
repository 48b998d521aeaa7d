"""A callback that measures the time of training steps."""

import json
import time
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


class Clock(Callback):
    """Writes the number of steps after the warm-up and their time in seconds.

    Args:
        path: JSON file to write.
        warm_up: Number of first steps to exclude.
    """

    def __init__(self, path: str, warm_up: int) -> None:
        self.path = Path(path)
        self.warm_up = warm_up
        self._start = 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """See `Callback`."""
        if trainer.global_step == self.warm_up:
            self._start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        seconds = time.perf_counter() - self._start
        measured = {"steps": trainer.global_step - self.warm_up, "seconds": seconds}
        self.path.write_text(json.dumps(measured), encoding="utf-8")
