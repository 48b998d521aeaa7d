"""Writes checkpoints: atomically, and with the configuration inside."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer


class ModelCard(Callback):
    """Writes the resolved configuration into each checkpoint."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """See `Callback`."""
        checkpoint["config"] = self.config


class AtomicCheckpointIO(CheckpointIO):
    """Writes each checkpoint under a temporary name in the same folder, then renames it.

    Lightning writes to the system's temporary folder and moves the file. If that is another file
    system, the move is a copy, and a kill leaves half a file.
    """

    def __init__(self) -> None:
        self._inner = TorchCheckpointIO()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """See `CheckpointIO`."""
        part = f"{path}.part"
        self._inner.save_checkpoint(checkpoint, part, storage_options)
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,  # noqa: ANN401 (torch's union of five types)
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """See `CheckpointIO`; the file is memory-mapped, so unused tensors are not read."""
        location = map_location or "cpu"
        checkpoint: dict[str, Any] = torch.load(
            path, map_location=location, weights_only=weights_only, mmap=True
        )
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """See `CheckpointIO`."""
        self._inner.remove_checkpoint(path)
