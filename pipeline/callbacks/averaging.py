"""Weight averaging that starts when validation stops improving."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from pipeline.batches import StreamWindow
from pipeline.callbacks.checkpoints import is_update
from pipeline.console import print_note
from pipeline.errors import InputError


class TriggeredAveraging(Callback):
    """Non-monotonically triggered averaged SGD (Merity et al. 2018, arXiv 1708.02182, algorithm 1).

    Averaging starts when a validation score is worse than the best score before the last `interval`
    validations, and includes the weights of that moment and after each later update. (This follows
    the authors' code; they confirmed an error in the printed algorithm.) Training continues with
    the current weights, while validation, test and the `state_dict` of checkpoints use the
    averages, so that `best.ckpt` contains the weights of its score. Checkpoints also contain the
    current weights, for resuming.

    The paper uses `torch.optim.SGD`; any other optimizer works too. List this callback first, so
    that other callbacks see the average of the latest update.

    Args:
        interval: Number of last validations that are not compared with (n in the paper).
        monitor: Validation score to watch. Lower is better; equal on all ranks.

    Raises:
        ValueError: If `interval` is below 1.
        InputError: If the first validation has no score `monitor`.

    Example:
        >>> averaging = TriggeredAveraging(interval=3)
        >>> trainer = Trainer(callbacks=[averaging], logger=False, enable_checkpointing=False)
        >>> averaging.state_dict()  # `count`: number of averaged weights, 0 before the trigger
        {'scores': [], 'count': 0}
    """

    def __init__(self, interval: int = 5, monitor: str = "val/perplexity") -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 validation, got {interval}")
        self.interval, self.monitor = interval, monitor
        self._scores: list[float] = []
        self._count = 0  # number of averaged weights; 0 before the trigger
        self._averages: list[Tensor] = []  # in the order of the module's parameters
        self._last: list[Tensor] = []  # current weights, while the module has the averages

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"scores": list(self._scores), "count": self._count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `Callback`."""
        self._scores, self._count = list(state_dict["scores"]), state_dict["count"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Moves restored averages to the device of the module."""
        self._averages = [average.to(pl_module.device) for average in self._averages]

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: StreamWindow,
        batch_idx: int,
    ) -> None:
        """After an update, adds the weights to the average."""
        if self._count and is_update(trainer, batch_idx):
            self._count += 1
            for average, weight in zip(self._averages, _weights(pl_module), strict=True):
                average += (weight - average) / self._count

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the weights by the averages."""
        if self._count and trainer.state.fn == "fit":
            self._last = _copies(pl_module)
            _write(pl_module, self._averages)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the current weights, or starts averaging."""
        if self._last:
            _write(pl_module, self._last)
            self._last = []
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        score = self._score(trainer)
        if not self._count and self._is_triggered(score):
            self._count, self._averages = 1, _copies(pl_module)
            print_note(
                f"weights are averaged from step {trainer.global_step}: {self.monitor} {score:.5g} "
                f"is worse than the best before the last {self.interval} validations"
            )
        self._scores.append(score)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the weights by the averages."""
        if self._count:
            _write(pl_module, self._averages)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Stores the averages as `state_dict`, and the current weights separately."""
        if not self._count:
            return
        pairs = zip(pl_module.parameters(), self._averages, strict=True)
        averages = {id(weight): average for weight, average in pairs}
        for name, weight in pl_module.named_parameters(remove_duplicate=False):  # tied weights
            checkpoint["state_dict"][name] = averages[id(weight)]
        checkpoint["last_weights"] = self._last or _weights(pl_module)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes the averages from the module and restores the current weights."""
        if "last_weights" in checkpoint:
            self._averages = _copies(pl_module)
            _write(pl_module, checkpoint["last_weights"])

    def _score(self, trainer: Trainer) -> float:
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics)) or "none"
            raise InputError(
                f"TriggeredAveraging: validation has no metric {self.monitor}; set monitor to one "
                f"of: {known}"
            )
        return float(trainer.callback_metrics[self.monitor])

    def _is_triggered(self, score: float) -> bool:
        compared = self._scores[: -self.interval]
        return bool(compared) and score > min(compared)


def _weights(module: LightningModule) -> list[Tensor]:
    return [weight.detach() for weight in module.parameters()]


def _copies(module: LightningModule) -> list[Tensor]:
    return [weight.clone() for weight in _weights(module)]


@torch.no_grad()
def _write(module: LightningModule, values: Sequence[Tensor]) -> None:
    for weight, value in zip(module.parameters(), values, strict=True):
        weight.copy_(value)
