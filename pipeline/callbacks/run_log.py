"""Logs metrics and test reports of a run, each (key, step) once; steps are numbers of updates."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.optim import Optimizer

from pipeline.analysis.parameters import model_sizes
from pipeline.batches import Sentences, Series, StreamWindow, Texts
from pipeline.callbacks.checkpoints import BestCheckpoint, is_update
from pipeline.contracts import Reporting
from pipeline.tracking.logger import RunTracker

_MIB = 1024**2


class RunLog(Callback):
    """Logs training metrics every n updates, and the scores of each validation and test.

    Lightning's `self.log` is not used for this, since its steps differ by one between training and
    validation, and again after resuming within an epoch. The callback `best`, which has the best
    value of `monitor`, must precede this one.

    Scores that a run has once are single values, which MLflow draws as bars: `best/*`, `test/*`,
    `model/*`, `perf/seconds_per_epoch` (the median) and `perf/peak_memory_mib` (of the first
    process). So are all scores of tasks without gradients, whose steps are no updates; those of
    validation are `final/val_*`.
    """

    def __init__(self, monitor: str, best: BestCheckpoint, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.best = best
        self.best_name = "best/" + monitor.replace("/", "_")
        self.tokens_seen = 0
        self._losses: list[Tensor] = []  # for each batch since the last update
        self._grad_norm: float | None = None
        self._mark: tuple[float, int] | None = None  # (seconds, tokens seen) at the last log
        self._epoch_start: float | None = None  # in seconds; None within a resumed epoch
        self._durations: list[float] = []  # of complete epochs of this process, in seconds

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
        self._epoch_start = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the size of the model, which an n-gram model has only at the end."""
        sizes = model_sizes(pl_module)
        if isinstance(trainer.logger, RunTracker) and sizes["model/parameters"] > 0:
            trainer.logger.log_values(sizes)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures how long an epoch took, with its validations."""
        if self._epoch_start is not None:
            self._durations.append(time.perf_counter() - self._epoch_start)
            self._epoch_start = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the values that a run has once."""
        self.log_summary(trainer, pl_module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Logs the values that an interrupted run has."""
        if trainer.state.fn == "fit" and trainer.global_step:
            self.log_summary(trainer, pl_module)

    def log_summary(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the best score, the size of the model, the time of an epoch and the memory."""
        if not isinstance(trainer.logger, RunTracker):
            return
        values: dict[str, float] = {**model_sizes(pl_module), **_peak_memory(pl_module)}
        if self.best.best is not None:
            values[self.best_name] = self.best.best
        if self._durations:
            values["perf/seconds_per_epoch"] = statistics.median(self._durations)
        trainer.logger.log_values(values)

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
        if not pl_module.automatic_optimization:
            # Counts have no steps: a point among the curves of networks would stretch their axes.
            values = {f"final/{name.replace('/', '_')}": value for name, value in metrics.items()}
            if isinstance(trainer.logger, RunTracker):
                trainer.logger.log_values(values)
            metrics = {}
        at_end = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if at_end:
            metrics["epoch"] = trainer.current_epoch + 1
        metrics["tokens_seen"] = self.tokens_seen
        self._write(trainer, metrics)
        self._mark = None

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.log_values(_scores(trainer, "test/"))

    def _write(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if isinstance(trainer.logger, RunTracker):
            step = trainer.global_step if trainer.lightning_module.automatic_optimization else 0
            trainer.logger.log_scores(metrics, step)


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
    """Writes the task's test report, and logs it to the run, if there is one.

    Attributes:
        examples: Lines that the model has answered.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.examples: list[str] = []

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if not trainer.is_global_zero or not isinstance(pl_module, Reporting):
            return
        report = pl_module.report()
        files = report.write(self.folder)
        if isinstance(trainer.logger, RunTracker):
            for file in files:
                trainer.logger.log_artifact(file, "report")
            self.examples = list(report.examples())
            for name, (columns, rows) in report.tables().items():
                trainer.logger.log_table(columns, rows, f"tables/{name}.json")


def loss_of(outputs: STEP_OUTPUT) -> Tensor | None:
    """Returns the detached loss of a training step []; None for a task without gradients."""
    assert isinstance(outputs, Mapping), "Lightning gives a mapping"
    loss: Tensor | None = outputs.get("loss")
    return None if loss is None else loss.detach()


def _peak_memory(module: LightningModule) -> dict[str, float]:
    """Returns the largest memory of this process so far and, on a GPU, of its tensors, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    found = {"perf/peak_memory_mib": peak * unit / _MIB}
    if module.device.type == "cuda":
        found["perf/peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated(module.device) / _MIB
    return found


def _scores(trainer: Trainer, prefix: str) -> dict[str, float]:
    found = trainer.callback_metrics
    return {name: float(value) for name, value in found.items() if name.startswith(prefix)}
