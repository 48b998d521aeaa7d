"""What the command line expects of a task and of a datamodule, beside being Lightning's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from pipeline.encoders import Carry
from pipeline.heads import OutputLayer
from pipeline.text.units import Unit
from pipeline.text.vocabulary import Vocabulary


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
    encoder: nn.Module


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
    def lines(self) -> int:
        """The number of lines."""

    @property
    def tokens(self) -> int:
        """The number of tokens."""

    @property
    def unknown(self) -> int:
        """The number of tokens that are `<unk>`."""


class Corpus(Protocol):
    """A LightningDataModule over text."""

    @property
    def name(self) -> str:
        """The second part of the MLflow experiment's name, as "ptb"."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words, by id."""

    @property
    def unit(self) -> Unit:
        """What a token is."""

    def describe(self) -> Sequence[Split]:
        """Tells what each split holds."""


class Generator(Protocol):
    """A task that text can be sampled from."""

    head: OutputLayer

    def __call__(self, tokens: Tensor, carry: Carry | None) -> tuple[Tensor, Carry]:
        """Reads tokens [batch time]; gives what the head reads, and the carry."""
