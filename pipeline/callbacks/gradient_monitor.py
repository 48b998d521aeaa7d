"""Monitors how far gradients reach back during training."""

import contextlib
import math
import re
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch.optim import Optimizer

from pipeline.analysis.gradients import LayerGradients, NoLossError, Traceable, analyze, few_rows
from pipeline.callbacks.checkpoints import is_update
from pipeline.callbacks.clipping import Clipping
from pipeline.callbacks.guard import infinite_weights
from pipeline.checkpoints.folder import RunFolder
from pipeline.console import print_note
from pipeline.encoders import Zoneout
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.errors import InputError, TrainingError
from pipeline.protocols import implements
from pipeline.reports import GradientReport
from pipeline.tracking.logger import RunTracker

_LOGGED_LAGS = (1, 10, 20)
_SHARE = 0.03  # maximum fraction of training time for drawing, except at the end


class GradientMonitor(Callback):
    """Logs gradient norms by lag during training and draws figures of them.

    Every n updates it logs, for the longest rows of the batch, under `gradients/<layer>/`: the norm
    at lags 1, 10 and 20 divided by that at lag 0 (`lag_10`), its factor per step (`per_step`), the
    number of steps after which half is left (`half_life`) and the mean of each gate. It also logs
    `train/grad_norm_clipped` and `train/clipped_share` of the updates since the last log. After an
    epoch, figures and their numbers replace those in the artifact folder `gradients`; if training
    diverges, they show the last batch.

    Training is not changed by a single bit: the model is analyzed in evaluation mode, its modes,
    gradients and random states stay unchanged, and no other rank is waited for.

    Args:
        every_n_steps: Number of updates between two logs.
        rows: Number of rows of the batch to analyze, the longest ones.
        lags: Largest lag; at most the number of steps of a batch.

    Raises:
        ValueError: If a number is below 1.
        InputError: If the model has no recurrent layer, has zoneout, or is not `Traceable`.

    Example:
        >>> GradientMonitor(every_n_steps=50, lags=20).rows
        4
    """

    def __init__(self, every_n_steps: int = 100, rows: int = 4, lags: int = 50) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("rows", rows), ("lags", lags)):
            if value < 1:
                raise ValueError(f"{name} of GradientMonitor must be at least 1, got {value}")
        self.every_n_steps, self.rows, self.lags = every_n_steps, rows, lags
        self._clipping = Clipping(None, by_value=False)
        self._batch: Any = None
        self._rows: Any = None  # last analyzed: an epoch may end with a batch of few steps
        self._drawn_at = -1
        self._began = self._spent = 0.0  # seconds

    def check_model(self, model: LightningModule) -> None:
        """Refuses a model that cannot be analyzed; see `ChecksModel`."""
        _refuse(model)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuses a model that cannot be analyzed."""
        self.check_model(pl_module)
        by_value = trainer.gradient_clip_algorithm == "value"
        self._clipping = Clipping(trainer.gradient_clip_val, by_value)
        self._began, self._spent, self._drawn_at = time.perf_counter(), 0.0, -1

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,  # noqa: ANN401 (the datamodule's own)
        batch_idx: int,
    ) -> None:
        """Keeps the batch, in case training ends with it."""
        self._batch = batch

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Records whether the gradient will be clipped."""
        if trainer.is_global_zero:
            self._clipping.before(list(pl_module.parameters()))

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,  # noqa: ANN401 (the datamodule's own)
        batch_idx: int,
    ) -> None:
        """Analyzes and logs every n updates."""
        is_time = trainer.global_step % self.every_n_steps == 0
        if not (is_time and trainer.is_global_zero and is_update(trainer, batch_idx)):
            return
        metrics = self._clipping.after(list(pl_module.parameters()))
        rows = few_rows(batch, self.rows)
        # A batch of empty texts is skipped.
        with contextlib.suppress(NoLossError):
            seen = analyze(pl_module, rows, self.lags, deep=False)
            self._rows = rows
            for layer in seen.layers:
                metrics |= _metrics(layer)
        _log(trainer, metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the figures, unless drawing has taken too much of the time."""
        if self._spent <= _SHARE * (time.perf_counter() - self._began):
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the final figures and prints their path."""
        self._draw(trainer, pl_module)
        page = Path(trainer.default_root_dir) / "gradients" / "gradients.png"
        if trainer.is_global_zero and page.is_file():
            print_note(f"figures of gradients: {page}")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Draws the figures of the batch at which training diverged, if the weights are finite.

        On a GPU the loss is found to be bad after later updates, which have made the weights NaN.
        """
        if isinstance(exception, TrainingError) and infinite_weights(pl_module) is None:
            self._rows, self._drawn_at = None, -1
            self._draw(trainer, pl_module)

    def _draw(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_new = self._batch is not None and self._drawn_at != trainer.global_step
        if not (trainer.is_global_zero and is_new):
            return
        start, self._drawn_at = time.perf_counter(), trainer.global_step
        rows = few_rows(self._batch, self.rows) if self._rows is None else self._rows
        try:
            seen = analyze(pl_module, rows, self.lags)
        except NoLossError:  # a batch of empty texts
            return
        folder = Path(trainer.default_root_dir)
        name = f"{RunFolder(folder).name or type(pl_module).__name__}, step {trainer.global_step}"
        files = GradientReport(seen, name).write(folder / "gradients")
        if isinstance(trainer.logger, RunTracker):
            for file in files:
                trainer.logger.log_artifact(file, "gradients")
        radii = {_key(layer, "spectral_radius"): _radius(layer) for layer in seen.layers}
        _log(trainer, {key: value for key, value in radii.items() if value is not None})
        self._spent += time.perf_counter() - start


def _metrics(layer: LayerGradients) -> dict[str, float]:
    shares = {f"lag_{lag}": layer.share(lag) for lag in _LOGGED_LAGS}
    gates: dict[str, float | None] = {
        f"gate_{name}": sum(gate.mean) / len(gate.mean) for name, gate in layer.gates.items()
    }
    values = {**shares, "per_step": layer.factor, "half_life": layer.half_life, **gates}
    return {_key(layer, name): value for name, value in values.items() if value is not None}


def _refuse(model: LightningModule) -> None:
    name, advice = type(model).__name__, "leave the callback out"
    parts: list[Any] = list(model.encoder.modules()) if implements(model, Traceable) else []
    if not parts and any(isinstance(part, RecurrentLayer) for part in model.modules()):
        raise InputError(f"GradientMonitor cannot analyze the gradients of a {name}; {advice}")
    if not any(isinstance(part, RecurrentLayer) for part in parts):
        raise InputError(
            f"GradientMonitor needs recurrent layers, and this {name} has none; {advice}, or use "
            "Elman, GRU or LSTM (--model.encoder)"
        )
    if any(isinstance(part, Zoneout) for part in parts):
        raise InputError(
            "GradientMonitor cannot record layers with zoneout, which run one step per call; "
            f"{advice}, or set --model.encoder.zoneout=0"
        )


def _radius(layer: LayerGradients) -> float | None:
    return layer.spectral_radius.get("candidate")


def _key(layer: LayerGradients, name: str) -> str:
    return f"gradients/{re.sub(r'[^a-z0-9]+', '_', layer.name.lower()).strip('_')}/{name}"


def _log(trainer: Trainer, metrics: dict[str, float]) -> None:
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    if trainer.logger is not None and finite:
        trainer.logger.log_metrics(finite, step=trainer.global_step)
