"""Writes checkpoints: atomically, and with the configuration inside."""

import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.checkpoints.contents import read_contents
from pipeline.errors import InputError


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
    system, it needs space there too, the move is a copy, and a kill leaves half a file. Raises
    `InputError` if the file cannot be written, for example because the disk is full.

    Args:
        read: Contents of files that were read before, which are not read again. Each is used once.
    """

    def __init__(self, read: dict[Path, dict[str, Any]] | None = None) -> None:
        self._inner = TorchCheckpointIO()
        self._read = {} if read is None else read

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """See `CheckpointIO`."""
        part = Path(f"{path}.part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                _save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            then = "train again"
            if Path(path).exists():
                then = "continue from its earlier version with `unroll train --resume RUN`"
            raise InputError(
                f"checkpoint {path} cannot be written: {error.strerror or error}; free space there "
                f"and {then}"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,  # noqa: ANN401 (torch's union of five types)
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """See `CheckpointIO`; raises `InputError` if the file is damaged.

        Only plain data and tensors are loaded, whatever `weights_only` is.
        """
        checkpoint: Any = self._read.pop(Path(path), None)
        if checkpoint is None:
            checkpoint = read_contents(Path(path), map_location or "cpu")
        return cast(dict[str, Any], checkpoint)

    def remove_checkpoint(self, path: str | Path) -> None:
        """See `CheckpointIO`."""
        self._inner.remove_checkpoint(path)


class _Recorded:
    """A file that keeps the first error of writing to it, since torch raises another one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._file.flush()


def _save(checkpoint: dict[str, Any], file: BinaryIO) -> None:
    recorded = _Recorded(file)
    try:
        torch.save(checkpoint, recorded)  # type: ignore[arg-type]  # torch needs these two methods
    except RuntimeError:
        if recorded.error is not None:
            raise recorded.error from None
        raise
