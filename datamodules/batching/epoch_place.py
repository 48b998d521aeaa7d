"""The position of training within an epoch, and its checkpoint state."""

from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningDataModule

from datamodules.batching.prefetch import Prefetch
from datamodules.batching.resumable import LazyMap, ResumableBatches
from pipeline.errors import InputError


class EpochPlace:
    """Rank, epoch and next training batch of a datamodule with a trainer.

    `settings` returns the settings that determine the batches of an epoch. They are saved with the
    position, because it refers to the same batches only under the same settings.
    """

    def __init__(
        self, data: LightningDataModule, settings: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._data, self._settings = data, settings
        self._batches: ResumableBatches[Any] | None = None
        self._loaded: Mapping[str, Any] | None = None

    @property
    def ranks(self) -> tuple[int, int]:
        """The rank of this process and the number of processes."""
        trainer = self._data.trainer
        return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)

    def epoch(self) -> int:
        """Returns the current epoch, counted from 0."""
        return self._data.trainer.current_epoch if self._data.trainer else 0

    def lazy_map(self) -> LazyMap:
        """Returns the function that computes batches: `map`, or `Prefetch` for a GPU."""
        trainer = self._data.trainer
        device = trainer.strategy.root_device if trainer else None
        return Prefetch(device) if device is not None and device.type == "cuda" else map

    def start(self, batches: ResumableBatches[Any]) -> None:
        """Registers the training batches and moves them to the position of a loaded state.

        Their `map` becomes that of `lazy_map`. Raises an `InputError` if the state was
        saved within an epoch that had other settings.
        """
        self._batches = batches
        batches.map = self.lazy_map()
        state, self._loaded = self._loaded, None
        if state is None:
            return
        saved, now = state["settings"], self._settings()
        names = [name for name in {**saved, **now} if saved.get(name) != now.get(name)]
        if state["position"] and names:
            changes = ", ".join(f"{name}={saved.get(name)} (now {now.get(name)})" for name in names)
            raise InputError(
                f"the checkpoint was saved in the middle of an epoch with {changes}; resume with "
                "the saved settings, or from a checkpoint saved at the end of an epoch"
            )
        batches.position = state["position"]

    def state(self) -> dict[str, Any]:
        """Returns the position and the settings, for a checkpoint."""
        position = self._batches.position if self._batches else 0
        limit = self._data.trainer.num_training_batches if self._data.trainer else 0
        if isinstance(limit, int) and limit:  # limit_train_batches ends an epoch early
            position %= limit
        return {"position": position, "settings": dict(self._settings())}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restores the position that `state` returned, now or in `start`; raises as `start`."""
        self._loaded = state
        if self._batches is not None:  # a schedule can request the loader before the state is read
            self.start(self._batches)
