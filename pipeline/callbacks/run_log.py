"""Logs metrics and test reports of a run, each (key, step) once; steps are numbers of updates."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.optim import Optimizer

from pipeline.batches import Sentences, Series, StreamWindow, Texts
from pipeline.callbacks.checkpoints import BestCheckpoint, is_update
from pipeline.contracts import Reporting
from pipeline.tracking.logger import RunTracker


class RunLog(Callback):
    """Logs training metrics every n updates, and the scores of each validation and test.

    Lightning's `self.log` is not used for this, since its steps differ by one between training and
    validation, and again after resuming within an epoch. The best value of `monitor` is logged as
    `best/...`; the callback `best`, which has it, must precede this one.
    """

    def __init__(self, monitor: str, best: BestCheckpoint, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.best = best
        self.best_name = "best/" + monitor.replace("/", "_")
        self.tokens_seen = 0
        self._losses: list[Tensor] = []  # for each batch since the last update
        self._grad_norm: float | None = None
        self._mark: tuple[float, int] | None = None  # (seconds, tokens seen) at the last log

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """See `Callback`."""
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.own_scores()

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"tokens_seen": self.tokens_seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `Callback`."""
        self.tokens_seen = state_dict["tokens_seen"]

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Flushes, so that a process killed after this checkpoint loses no earlier metric."""
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.flush()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self._mark = None

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Measures the gradient norm before clipping."""
        if (trainer.global_step + 1) % self.every_n_steps == 0:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self._grad_norm = float(torch.nn.utils.get_total_norm(gradients))

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: StreamWindow | Sentences | Texts | Series,
        batch_idx: int,
    ) -> None:
        """See `Callback`."""
        self.tokens_seen += round(batch.tokens_per_rank * trainer.world_size)
        if self._mark is None:  # without the first step of a process, which is slower
            self._mark = (time.perf_counter(), self.tokens_seen)
        if (loss := loss_of(outputs)) is not None:
            self._losses.append(loss)
        if not is_update(trainer, batch_idx):
            return
        losses, self._losses = self._losses, []
        if trainer.global_step % self.every_n_steps:
            return
        epoch = trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches
        metrics = {"epoch": epoch, "tokens_seen": self.tokens_seen}
        if losses:  # tasks without gradients have none
            metrics |= self._optimization(trainer, losses)
        now = time.perf_counter()
        if self.tokens_seen > self._mark[1]:
            rate = (self.tokens_seen - self._mark[1]) / (now - self._mark[0])
            metrics["perf/tokens_per_second"] = rate
        self._mark = (now, self.tokens_seen)
        self._write(trainer, metrics)

    def _optimization(self, trainer: Trainer, losses: list[Tensor]) -> dict[str, float]:
        # Lightning divides each loss by the number of accumulated batches.
        mean = torch.stack(losses).mean() * trainer.accumulate_grad_batches
        metrics = {
            "train/loss": float(trainer.strategy.reduce(mean, reduce_op="mean")),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
        }
        if self._grad_norm is not None:
            metrics["train/grad_norm"] = self._grad_norm
        return metrics

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        metrics = _scores(trainer, "val/")
        if self.best.best is not None:
            metrics[self.best_name] = self.best.best
        at_end = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if at_end:
            metrics["epoch"] = trainer.current_epoch + 1
        metrics["tokens_seen"] = self.tokens_seen
        self._write(trainer, metrics)
        self._mark = None

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self._write(trainer, _scores(trainer, "test/"))

    def _write(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.log_scores(metrics, trainer.global_step)


class RunStart(Callback):
    """Calls a function once, when training begins: after the checkpoint to resume was read.

    Args:
        begin: Function without arguments.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin

    def __call__(self) -> None:
        """Calls the function, unless that was done."""
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self()


class TestReport(Callback):
    """Writes the task's test report, and logs it to the run, if there is one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if not trainer.is_global_zero or not isinstance(pl_module, Reporting):
            return
        files = pl_module.write_report(self.folder)
        if isinstance(trainer.logger, RunTracker):
            for file in files:
                trainer.logger.log_artifact(file, "report")


def loss_of(outputs: STEP_OUTPUT) -> Tensor | None:
    """Returns the detached loss of a training step []; None for a task without gradients."""
    assert isinstance(outputs, Mapping), "Lightning gives a mapping"
    loss: Tensor | None = outputs.get("loss")
    return None if loss is None else loss.detach()


def _scores(trainer: Trainer, prefix: str) -> dict[str, float]:
    found = trainer.callback_metrics
    return {name: float(value) for name, value in found.items() if name.startswith(prefix)}
