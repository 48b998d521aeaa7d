"""Writes what the losses of a language model's test tokens tell."""

from collections.abc import Mapping
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.metrics.items import FILE
from pipeline.reports.pictures import draw_frequency_loss
from pipeline.reports.tokens import blocks, loss_by_frequency, worst_sentences
from pipeline.text.vocabulary import Vocabulary
from pipeline.tracking.logger import RunTracker


class TokenReport(Callback):
    """Writes `items.json`, the nll of each block of 50 test tokens, and logs it to the run, if any.

    A run also gets tables of the worst sentences and of the loss by word frequency, and a figure of
    the latter. It works with tasks whose `test_step` returns the `log_probs` of the real targets or
    of all, and writes nothing if a token has probability 0, as in n-gram models without smoothing.

    Args:
        folder: Folder of the files, which is created if missing.
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
        """Collects the losses of a batch."""
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
        """Writes and logs the files."""
        taken = self._take()
        if taken is None or not trainer.is_global_zero:
            return
        nll, targets = taken
        if not torch.isfinite(nll).all():
            return
        items, tracker = blocks(nll, targets), trainer.logger
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / FILE).write_text(items.to_json(), encoding="utf-8")
        if isinstance(tracker, RunTracker) and tracker.is_active:
            tracker.log_artifact(self.folder / FILE, "report")
            if isinstance(pl_module.vocabulary, Vocabulary):
                data = trainer.datamodule.state_dict()  # type: ignore[attr-defined]
                unit = data.get("unit", "word")
                rows = worst_sentences(nll, targets, pl_module.vocabulary, unit)
                columns = ["sentence", "nll per token", "tokens", "text"]
                tracker.log_table(columns, rows, "tables/worst_sentences.json")
                self._log_frequencies(tracker, nll, targets, pl_module.vocabulary)

    def _log_frequencies(
        self, tracker: RunTracker, nll: Tensor, targets: Tensor, vocabulary: Vocabulary
    ) -> None:
        if vocabulary.counts is None:
            return
        groups = loss_by_frequency(nll, targets, vocabulary.counts)
        columns = ["occurrences in training", "test tokens", "nll per token"]
        tracker.log_table(columns, groups, "tables/loss_by_frequency.json")
        picture = self.folder / "loss_by_frequency.png"
        draw_frequency_loss(groups, picture)
        tracker.log_artifact(picture, "report")

    def _take(self) -> tuple[Tensor, Tensor] | None:
        """Returns and forgets nll in nats [tokens], float64, and targets [tokens], if any."""
        if not self._targets:
            return None
        nll, targets = torch.cat(self._nll).cpu(), torch.cat(self._targets)
        self._nll, self._targets = [], []
        return nll, targets
