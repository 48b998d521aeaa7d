"""The common base of datamodules for sentences and for labelled texts."""

import abc
from functools import cached_property
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from lightning.pytorch import LightningDataModule

from datamodules.batching.buckets import Buckets, EpochSampler
from datamodules.batching.encode import Batches, EncodedRows, InOrder
from datamodules.batching.epoch_place import EpochPlace
from datamodules.batching.sentences import TaggedSource
from datamodules.batching.texts import LabelledSource
from datamodules.files.lexicons import CoveredLexicon
from pipeline.errors import InputError
from pipeline.text.lexicon import Lexicon

_Batch = TypeVar("_Batch", covariant=True)
_Source = TypeVar("_Source", bound=TaggedSource | LabelledSource)


class Batching(NamedTuple):
    """Batch sizes and order of an epoch."""

    size: int  # of a training batch over all ranks, in `unit`
    eval_tokens: int  # maximum of an evaluation batch, padding included
    seed: int  # for the order of rows
    unit: Literal["sentences", "tokens"] = "sentences"


class BucketedData(LightningDataModule, Generic[_Batch, _Source], abc.ABC):
    """A datamodule whose batches contain rows of similar length.

    All ranks get the same number of batches, and each row is in the batch of one rank only.
    `settings` determine the batches of a training epoch; a checkpoint from the middle of an epoch
    can only be resumed with the same settings.
    """

    def __init__(self, source: _Source, batching: Batching, settings: dict[str, Any]) -> None:
        super().__init__()
        self.source, self._batching, self._settings = source, batching, settings
        self._place = EpochPlace(self, self._epoch_settings)

    @property
    def name(self) -> str:  # type: ignore[override]  # None in Lightning, which never sets it
        """Name of the corpus."""
        return self.source.name

    @property
    def num_folds(self) -> int:
        """Number of folds that the corpus defines; 0 if `folded` has to make them."""
        return self.source.num_folds

    @property
    def lexicon(self) -> Lexicon:
        """Words, column values and vectors. Raises `InputError` if files cannot be read."""
        return self._covered.lexicon

    @cached_property
    def _train_words(self) -> set[str]:
        return {word for word, count in self.lexicon.counts.items() if count}

    @cached_property
    @abc.abstractmethod
    def _covered(self) -> CoveredLexicon:
        """The lexicon with a note about its vectors."""

    @property
    @abc.abstractmethod
    def _encoded(self) -> dict[str, Any]:
        """Split -> `EncodedRows` (Any, because the values of a dict are invariant for mypy)."""

    @cached_property
    @abc.abstractmethod
    def _fingerprint(self) -> str:
        """Hash of the training rows."""

    @cached_property
    def _sampler(self) -> EpochSampler | None:
        """Selects the rows of each epoch; all rows if None."""
        return None

    def check_processes(self, world_size: int) -> None:
        """See `pipeline.contracts.ChecksProcesses`: an empty split cannot be divided among any."""
        for split, encoded in self._encoded.items():
            if not encoded.lengths:
                raise InputError(
                    f"{self.name} has no {split} split; add a file for it, hold out a part of the "
                    "training data with --data.source.fraction=0.1, or run `unroll crossvalidate`"
                )

    def _epoch_settings(self) -> dict[str, Any]:
        return {**self._settings, "training text": self._fingerprint}

    def train_dataloader(self) -> Batches[_Batch]:
        """Returns this rank's training batches, from the position of a loaded checkpoint on."""
        rank, world_size = self._place.ranks
        encoded: EncodedRows[_Batch] = self._encoded["train"]
        buckets = Buckets(
            encoded.lengths,
            self._batching.size,
            self._batching.unit,
            shuffle=True,
            seed=self._batching.seed,
            rank=rank,
            world_size=world_size,
            sampler=self._sampler,
        )
        self._place.start(buckets)
        return Batches(encoded, buckets, world_size, self._place.epoch)

    def val_dataloader(self) -> Batches[_Batch]:
        """Returns this rank's batches of the validation split."""
        return self._eval_batches("valid")

    def test_dataloader(self) -> Batches[_Batch]:
        """Returns this rank's batches of the test split."""
        return self._eval_batches("test")

    def predict_dataloader(self) -> InOrder[_Batch]:
        """Returns the whole test split in the order of the file."""
        return InOrder(self._encoded["test"], self._place.lazy_map())

    def _eval_batches(self, split: str) -> Batches[_Batch]:
        rank, world_size = self._place.ranks
        encoded: EncodedRows[_Batch] = self._encoded[split]
        buckets = Buckets(
            encoded.lengths,
            self._batching.eval_tokens,
            "tokens",
            shuffle=False,
            seed=0,
            rank=rank,
            world_size=world_size,
        )
        buckets.map = self._place.lazy_map()
        return Batches(encoded, buckets, world_size, self._place.epoch)
