"""Random number generator states of all ranks, in checkpoints."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor


class RandomState(Callback):
    """Seeds each rank differently, and restores the random states in a resumed training."""

    def __init__(self) -> None:
        self._restored: list[list[Tensor]] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the states, or else seeds each rank differently."""
        if self._restored is None:
            if trainer.world_size > 1:
                torch.manual_seed(torch.initial_seed() + trainer.global_rank)
        elif len(self._restored) != trainer.world_size:
            rank_zero_warn(
                f"resumed with {trainer.world_size} processes instead of {len(self._restored)}: "
                "dropout masks differ from those of the uninterrupted run"
            )
        else:
            _set(self._restored[trainer.global_rank], pl_module.device)
        self._restored = None

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """See `Callback`."""
        states: list[Any] = [_get(pl_module.device)]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, _get(pl_module.device))
        checkpoint["random_states"] = states

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """See `Callback`."""
        self._restored = checkpoint.get("random_states")


def _get(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1 and device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
