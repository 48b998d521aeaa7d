"""What data of sentences and data of texts have in common: batches, and the place in an epoch."""

import abc
from functools import cached_property
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from lightning.pytorch import LightningDataModule

from datamodules.batching.buckets import Buckets, EpochSampler
from datamodules.batching.encode import Batches, Encoded, InOrder
from pipeline.errors import InputError

_Batch = TypeVar("_Batch", covariant=True)


class Batching(NamedTuple):
    """How an epoch is cut.

    Attributes:
        size: of a training batch over all ranks, in `unit`.
        eval_tokens: most tokens of a batch in evaluation, padding included.
        seed: of the order.
        unit: what `size` counts.
    """

    size: int
    eval_tokens: int
    seed: int
    unit: Literal["sentences", "tokens"] = "sentences"


class BucketedData(LightningDataModule, Generic[_Batch], abc.ABC):
    """Rows of like lengths in batches; all ranks get the same number of them, and no row twice.

    Args:
        batching: how an epoch is cut.
        cut: the settings, by name, without which a place within an epoch means nothing.
    """

    def __init__(self, batching: Batching, cut: dict[str, Any]) -> None:
        super().__init__()
        self._batching, self._cut = batching, cut
        self._train: Buckets | None = None
        self._resumed: dict[str, Any] | None = None

    @property
    @abc.abstractmethod
    def _encoded(self) -> dict[str, Any]:
        """Split -> `Encoded`; mypy holds the values of a mapping to be invariant."""

    @cached_property
    @abc.abstractmethod
    def _fingerprint(self) -> str:
        """Says which training rows these are."""

    @cached_property
    def _sampler(self) -> EpochSampler | None:
        """Chooses the rows of an epoch; None for all of them."""
        return None

    @property
    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def train_dataloader(self) -> Batches[_Batch]:
        """Gives this rank's share of the training rows, from a loaded checkpoint's place."""
        rank, world_size = self._place
        encoded: Encoded[_Batch] = self._encoded["train"]
        self._train = Buckets(
            encoded.lengths,
            self._batching.size,
            self._batching.unit,
            shuffle=True,
            seed=self._batching.seed,
            rank=rank,
            world_size=world_size,
            sampler=self._sampler,
        )
        self._resume(self._train)
        return Batches(encoded, self._train, world_size, self._epoch)

    def val_dataloader(self) -> Batches[_Batch]:
        """Gives this rank's share of the validation rows."""
        return self._whole("valid")

    def test_dataloader(self) -> Batches[_Batch]:
        """Gives this rank's share of the test rows."""
        return self._whole("test")

    def predict_dataloader(self) -> InOrder[_Batch]:
        """Gives all test rows, in their order."""
        return InOrder(self._encoded["test"])

    def _whole(self, split: str) -> Batches[_Batch]:
        rank, world_size = self._place
        encoded: Encoded[_Batch] = self._encoded[split]
        buckets = Buckets(
            encoded.lengths,
            self._batching.eval_tokens,
            "tokens",
            shuffle=False,
            seed=0,
            rank=rank,
            world_size=world_size,
        )
        return Batches(encoded, buckets, world_size, self._epoch)

    def _position(self) -> dict[str, Any]:
        """Gives what a checkpoint keeps of the place in the epoch."""
        position = self._train.position if self._train else 0
        batches = self.trainer.num_training_batches if self.trainer else 0
        if isinstance(batches, int) and batches:  # limit_train_batches ends an epoch early
            position %= batches
        return {"position": position, "cut": self._all_of_cut}

    @property
    def _all_of_cut(self) -> dict[str, Any]:
        return {**self._cut, "training text": self._fingerprint}

    def _go_on(self, state: dict[str, Any]) -> None:
        """Goes to the place that a state of the same corpus gives, or refuses another cut."""
        self._resumed = state
        if self._train is not None:  # a schedule may ask for the length before the state is read
            self._resume(self._train)

    def _resume(self, buckets: Buckets) -> None:
        state, self._resumed = self._resumed, None
        if state is None:
            return
        now = self._all_of_cut
        if state["position"] and state["cut"] != now:
            raise InputError(
                f"the checkpoint is in the middle of an epoch with {_told(state['cut'])}, now "
                f"{_told(now)}; go on with those, or from a checkpoint at the end of an epoch"
            )
        buckets.position = state["position"]


def _told(cut: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in cut.items())
