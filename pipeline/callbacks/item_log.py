"""Stores the nll of each block of a language model's test split."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.metrics.items import FILE, ItemScores
from pipeline.tracking.logger import RunTracker

BLOCK = 50
"""Tokens per item."""


class ItemLog(Callback):
    """Writes `items.json`, the nll of each block of 50 tokens, and logs it to the run, if any.

    It works with tasks whose `test_step` returns the `log_probs` of the real targets or of all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._nll: list[Tensor] = []
        self._targets: list[Tensor] = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        self._nll, self._targets = [], []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """See `Callback`."""
        if not isinstance(batch, StreamWindow) or not isinstance(outputs, Mapping):
            return
        if "log_probs" not in outputs:  # a task of a user
            return
        targets, log_probs = batch.targets.cpu(), outputs["log_probs"].detach()
        real = targets != IGNORE_INDEX
        if log_probs.shape == targets.shape:
            log_probs = log_probs[real.to(log_probs.device)]
        self._nll.append(-log_probs.double())
        self._targets.append(targets[real])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if not trainer.is_global_zero or not self._targets:
            return
        nll, targets = torch.cat(self._nll).cpu(), torch.cat(self._targets)
        self._nll, self._targets = [], []
        items = blocks(nll, targets)
        if not np.isfinite(items.values).all():
            return  # an n-gram model without smoothing: no comparison of means is possible
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / FILE
        file.write_text(items.to_json(), encoding="utf-8")
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.log_artifact(file, "report")


def blocks(nll: Tensor, targets: Tensor) -> ItemScores:
    """Returns sums over blocks of `BLOCK` tokens of nlls in nats [tokens], float64."""
    if not len(nll):
        return ItemScores("perplexity", "", np.zeros((2, 0)))
    starts = np.arange(0, len(nll), BLOCK)
    sums = np.add.reduceat(nll.numpy(), starts)
    counts = np.diff(np.append(starts, len(nll))).astype(np.float64)
    digest = hashlib.sha256(targets.to(torch.int64).numpy().tobytes()).hexdigest()[:16]
    return ItemScores("perplexity", digest, np.stack([sums, counts]))
