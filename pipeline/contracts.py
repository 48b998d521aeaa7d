"""What the command line expects of a task and of a datamodule, beside being Lightning's."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule
from torch import Tensor

from pipeline.encoders import Carry


class Task(Protocol):
    """A LightningModule that can be trained, tracked and compared.

    Attributes:
        experiment: the first part of the MLflow experiment's name, as "lm".
        monitor: the validation metric that says which checkpoint is best.
        monitor_mode: "min" or "max".
        encoder: what the run is named after.
    """

    experiment: str
    monitor: str
    monitor_mode: str
    encoder: object


class Split(Protocol):
    """What tracking records of a file of a corpus."""

    @property
    def split(self) -> str:
        """Its use: train, valid or test."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def sha256(self) -> str:
        """Of the file's bytes."""

    @property
    def profile(self) -> Mapping[str, int]:
        """Counts of what it holds, as {"tokens": 929589}."""


class Corpus(Protocol):
    """A LightningDataModule over text."""

    @property
    def name(self) -> str:
        """The second part of the MLflow experiment's name, as "ptb"."""

    @property
    def summary(self) -> str:
        """What a person should see of it before training."""

    def describe(self) -> Sequence[Split]:
        """Tells what each split holds."""

    def texts(self) -> Mapping[str, str]:
        """Gives what a run keeps of it: file name -> contents, as {"vocabulary.txt": ...}."""

    def lines(self, batch: Any, outputs: Any) -> Iterator[str]:  # noqa: ANN401 (the task's own)
        """Gives the lines that say what `predict_step` made of a batch of the test split."""


@runtime_checkable
class Reporting(Protocol):
    """A task that tells more of a test than its scores."""

    def write_report(self, folder: Path) -> list[Path]:
        """Writes what the last test showed into files, and returns them."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A task that starts from a file which its configuration names."""

    def read_files(self) -> None:
        """Reads it; `InputError` if it is missing or damaged, which is told before a run opens."""


@runtime_checkable
class ChecksModel(Protocol):
    """A callback that is not for every model."""

    def check_model(self, model: LightningModule) -> None:
        """Raises `InputError` for a model that it is not for, before a run is opened."""


class Head(Protocol):
    """What evaluation, generation and mixtures ask of a language model's head.

    Output layers have it, and so have n-gram tables.
    """

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `pipeline.heads.OutputLayer`."""

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `pipeline.heads.OutputLayer`."""


class Generator(Protocol):
    """A task that text can be sampled from."""

    head: Head

    def __call__(self, tokens: Tensor, carry: Carry | None) -> tuple[Tensor, Carry]:
        """Reads tokens [batch time]; gives what the head reads, and the carry."""


@runtime_checkable
class HasFolds(Protocol):
    """A datamodule with an argument `source` whose corpus can be cross-validated."""

    @property
    def num_folds(self) -> int:
        """Number of folds that the corpus defines; 0 if `folded` has to make them."""

    def folded(self, source: Mapping[str, Any], num_folds: int) -> dict[str, Any]:
        """Returns the configuration of a source that splits `source` into folds.

        Args:
            source: Configuration of the datamodule's source, with `class_path` and `init_args`.
            num_folds: Number of folds.

        Returns:
            A configuration whose `init_args` contain `fold`, the index of the fold to test on.

        Raises:
            InputError: If the corpus has fewer rows than folds.
        """
