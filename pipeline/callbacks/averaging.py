"""Averages the weights of the last part of training, and finds out by itself where that begins."""

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

    Once a validation is worse than the best of all before it but the last `interval`, the weights
    of that moment and those after each later update are averaged. (So the authors' code has it; the
    printed algorithm differs by a slip, as they said.) From then on training goes on from the last
    weights as before, and the averaged ones are validated, tested and what a checkpoint's
    `state_dict` holds, so that `best.ckpt` holds the weights that had its score. The last ones
    stand beside them, for training to be resumed from.

    With `torch.optim.SGD` this is the paper; it averages the weights of any other optimiser too.
    List it first of a Trainer's callbacks: what others write after an update has to be up to date.

    Args:
        interval: n, the last validations that the score may be worse than.
        monitor: the validation score, the lower the better, the same on all ranks.

    Raises:
        ValueError: `interval` is below 1.
        InputError: there is no such score, at the first validation.
    """

    def __init__(self, interval: int = 5, monitor: str = "val/perplexity") -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 validation, got {interval}")
        self.interval, self.monitor = interval, monitor
        self._scores: list[float] = []
        self._count = 0  # of the averaged weights; 0 before the trigger
        self._averages: list[Tensor] = []  # in the order of the module's parameters
        self._last: list[Tensor] = []  # the weights in training, while the averages are in place

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"scores": list(self._scores), "count": self._count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `Callback`."""
        self._scores, self._count = list(state_dict["scores"]), state_dict["count"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Moves restored averages to where training happens."""
        self._averages = [average.to(pl_module.device) for average in self._averages]

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: StreamWindow,
        batch_idx: int,
    ) -> None:
        """Takes the weights after an update into the average."""
        if self._count and is_update(trainer, batch_idx):
            self._count += 1
            for average, weight in zip(self._averages, _detached(_weights(pl_module)), strict=True):
                average += (weight - average) / self._count

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the averages in place."""
        if self._count and trainer.state.fn == "fit":
            self._last = _copies(_weights(pl_module))
            _write(pl_module, self._averages)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the last weights back in place, or begins to average."""
        if self._last:
            _write(pl_module, self._last)
            self._last = []
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        score = self._score(trainer)
        if not self._count and self._is_triggered(score):
            self._count, self._averages = 1, _copies(_weights(pl_module))
            print_note(
                f"averaging the weights from step {trainer.global_step} on: {self.monitor} "
                f"{score:.5g} is above the best of all but the last {self.interval} validations"
            )
        self._scores.append(score)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the averages in place."""
        if self._count:
            _write(pl_module, self._averages)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Stores the averages as the weights, and the last weights beside them."""
        if not self._count:
            return
        weights = _weights(pl_module)
        averages = {id(w): a for w, a in zip(weights, self._averages, strict=True)}
        for name, weight in pl_module.named_parameters(remove_duplicate=False):  # tied ones
            checkpoint["state_dict"][name] = averages[id(weight)]
        checkpoint["last_weights"] = self._last or _detached(weights)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Goes on from the last weights: those in the module are the averages now."""
        if "last_weights" in checkpoint:
            self._averages = _copies(_weights(pl_module))
            _write(pl_module, checkpoint["last_weights"])

    def _score(self, trainer: Trainer) -> float:
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics)) or "none"
            raise InputError(
                f"TriggeredAveraging watches {self.monitor}, which no validation gives; give it a "
                f"monitor that there is: {known}"
            )
        return float(trainer.callback_metrics[self.monitor])

    def _is_triggered(self, score: float) -> bool:
        compared = self._scores[: -self.interval]
        return bool(compared) and score > min(compared)


def _weights(module: LightningModule) -> list[Tensor]:
    return list(module.parameters())


def _detached(weights: Sequence[Tensor]) -> list[Tensor]:
    return [weight.detach() for weight in weights]


def _copies(weights: Sequence[Tensor]) -> list[Tensor]:
    return [weight.detach().clone() for weight in weights]


@torch.no_grad()
def _write(module: LightningModule, values: Sequence[Tensor]) -> None:
    for weight, value in zip(module.parameters(), values, strict=True):
        weight.copy_(value)
