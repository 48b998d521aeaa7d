"""Stores the nll of each block of a language model's test split."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from pipeline.callbacks.token_losses import TokenLosses
from pipeline.metrics.items import FILE, ItemScores
from pipeline.tracking.logger import RunTracker

BLOCK = 50
"""Tokens per item."""


class ItemLog(TokenLosses):
    """Writes `items.json`, the nll of each block of 50 tokens, and logs it to the run, if any.

    It works with tasks whose `test_step` returns the `log_probs` of the real targets or of all.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes and logs the file."""
        taken = self._take()
        if not trainer.is_global_zero or taken is None:
            return
        items = blocks(*taken)
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
