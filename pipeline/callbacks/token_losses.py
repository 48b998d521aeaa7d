"""Collects the nll of each token of a language model's test split."""

from collections.abc import Mapping

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from pipeline.batches import IGNORE_INDEX, StreamWindow


class TokenLosses(Callback):
    """Base class of callbacks that use the nll of each token of the test split.

    It works with tasks whose `test_step` returns the `log_probs` of the real targets or of all;
    with other tasks it collects nothing.
    """

    def __init__(self) -> None:
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

    def _take(self) -> tuple[Tensor, Tensor] | None:
        """Returns and forgets nll in nats [tokens], float64, and targets [tokens], if any."""
        if not self._targets:
            return None
        nll, targets = torch.cat(self._nll).cpu(), torch.cat(self._targets)
        self._nll, self._targets = [], []
        return nll, targets
