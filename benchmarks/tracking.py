"""Measures the share of training time that tracking takes.

    python benchmarks/tracking.py [--pairs 12] [--steps 100]

Trains `lm/ptb-lstm-small` by `unroll fit`. Blocks of steps with and without tracking alternate in
one training, in the order with, without, without, with. With tracking, a block has `RunLog` (losses
and gradient norms every 50 steps), the thread that sends to MLflow on SQLite, and a measurement of
`system/*`, and it ends when all values are in the store. Without, the Trainer has no logger.
The first pair of blocks is a warm-up. The corpus is that of `benchmarks/lm_step.py`.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.lm_step import corpus_folder, part, run_ours  # noqa: E402
from pipeline.callbacks import RunLog  # noqa: E402
from pipeline.tracking.logger import RunTracker  # noqa: E402
from pipeline.tracking.system import system_metrics  # noqa: E402


class Alternate(Callback):
    """Switches tracking on and off, and writes the seconds of each block to a file.

    Args:
        path: JSON file with lists of seconds, for blocks with and without tracking.
        steps: Steps of a block.
    """

    def __init__(self, path: str, steps: int) -> None:
        self.path = Path(path)
        self.steps = steps
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        self._block = contextlib.ExitStack()
        self._is_on = False
        self._start = 0.0
        self._batches = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        self._all = list(callbacks)
        assert isinstance(trainer.logger, RunTracker)
        self._tracker = trainer.logger

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """See `Callback`."""
        number, place = divmod(self._batches, self.steps)  # `batch_idx` begins anew in each epoch
        self._batches += 1
        if place:
            return
        if number:
            self._end()
        self._is_on = number % 4 in (0, 3)
        self._start = time.perf_counter()
        if self._is_on:
            self._block.enter_context(system_metrics(self._tracker))
        shown = [one for one in self._all if self._is_on or not isinstance(one, RunLog)]
        trainer.callbacks = shown  # type: ignore[attr-defined]
        trainer.loggers = [self._tracker] if self._is_on else []

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self._end()
        with_tracking, without = self._seconds[True], self._seconds[False]
        self.path.write_text(json.dumps([with_tracking, without]), encoding="utf-8")
        trainer.callbacks = self._all  # type: ignore[attr-defined]
        trainer.loggers = [self._tracker]

    def _end(self) -> None:
        if self._is_on:
            self._tracker.flush()
        self._block.close()
        self._seconds[self._is_on].append(time.perf_counter() - self._start)


def measure(pairs: int, steps: int) -> list[list[float]]:
    """Returns the seconds of blocks with tracking, and of blocks without."""
    file = REPOSITORY / "configs" / "lm" / "ptb-lstm-small.yaml"
    settings: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        result = Path(name) / "seconds.json"
        settings["data"]["init_args"]["corpus"] = str(corpus_folder(Path(name)))
        settings["trainer"] |= {
            "max_steps": 2 * (pairs + 1) * steps,
            "limit_val_batches": 0,
            "callbacks": [part("benchmarks.tracking.Alternate", path=str(result), steps=steps)],
        }
        run_ours(Path(name), settings)
        found: list[list[float]] = json.loads(result.read_text(encoding="utf-8"))
    return [blocks[1:] for blocks in found]


def main() -> None:
    """Prints the overhead in percent, for each pair of blocks and their median."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    tracked, plain = measure(options.pairs, options.steps)
    shares = [100 * (one / other - 1) for one, other in zip(tracked, plain, strict=True)]
    print("overhead of pairs in %:", *(f"{share:.1f}" for share in shares))
    step = statistics.median(plain) / options.steps * 1000
    print(f"step without tracking: {step:.1f} ms")
    print(f"overhead, median of {len(shares)} pairs: {statistics.median(shares):.2f} %")
    print(f"overhead, all blocks: {100 * (sum(tracked) / sum(plain) - 1):.2f} %")


if __name__ == "__main__":
    main()
