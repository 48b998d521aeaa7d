"""How checkpoints reach the disk, whole or not at all, and come back, mapped."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the final name and renames.

    Lightning writes to the system's folder of temporary files and moves: where that is another file
    system, the move is a copy, and a kill tears it.
    """

    def __init__(self) -> None:
        self._inner = TorchCheckpointIO()

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: object = None,
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
        """See `CheckpointIO`; maps the file, so that what is taken as it is takes no memory."""
        location = map_location or "cpu"
        checkpoint: dict[str, Any] = torch.load(
            path, map_location=location, weights_only=weights_only, mmap=True
        )
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """See `CheckpointIO`."""
        self._inner.remove_checkpoint(path)
