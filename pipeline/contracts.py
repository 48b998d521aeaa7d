"""Protocols that the commands expect of tasks, datamodules and callbacks.

A task or datamodule of a user takes part in every command whose protocol it implements; no class is
recognized by its name. `docs/your_own_task.md` lists which command needs which protocol.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn

from pipeline.batches import Sentences, Texts
from pipeline.encoders import Carry, Encoder
from pipeline.metrics.gather import Prediction
from pipeline.ngrams import NgramModel
from pipeline.text.lexicon import Labels, Lexicon
from pipeline.text.tags import Span
from pipeline.text.vocabulary import Vocabulary


@runtime_checkable
class Task(Protocol):
    """A LightningModule that can be trained, tracked and compared.

    Attributes:
        experiment: First part of the name of the MLflow experiment, such as "lm".
        monitor: Validation metric that determines the best checkpoint.
        monitor_mode: "min" or "max".
        encoder: The part that the run is named after.
    """

    experiment: str
    monitor: str
    monitor_mode: str
    encoder: Any


@runtime_checkable
class ReadsData(Protocol):
    """A task with constructor arguments that come from the datamodule.

    Attributes:
        from_data: Name of the argument -> function that makes it from the datamodule's state in a
            checkpoint. In training the argument is the attribute of that name of the datamodule.
    """

    from_data: ClassVar[Mapping[str, Callable[[Mapping[str, Any]], Any]]]


@runtime_checkable
class ReadsModels(Protocol):
    """A task with constructor arguments that are lists of trained models.

    Attributes:
        trained: Names of the arguments. A configuration names runs, checkpoint files or ARPA
            files; the constructor gets `pipeline.checkpoints.read.Trained` objects.
    """

    trained: ClassVar[Sequence[str]]


@runtime_checkable
class Portable(Protocol):
    """A task whose configuration names files or runs that a checkpoint must not depend on."""

    @classmethod
    def portable(
        cls, init_args: Mapping[str, Any], checkpoint: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments which need nothing but the checkpoint.

        Args:
            init_args: Constructor arguments in the configuration.
            checkpoint: Contents of the checkpoint.
        """


class Split(Protocol):
    """A file of a corpus, as it is recorded with a run."""

    @property
    def split(self) -> str:
        """Its use: "train", "valid" or "test"."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""

    @property
    def profile(self) -> Mapping[str, int]:
        """Counts of its contents, such as {"tokens": 929589}."""


@runtime_checkable
class Corpus(Protocol):
    """A LightningDataModule for text."""

    @property
    def name(self) -> str:
        """Second part of the name of the MLflow experiment, such as "ptb"."""

    @property
    def summary(self) -> str:
        """Sizes and peculiarities of the corpus, printed before training."""

    def describe(self) -> Sequence[Split]:
        """Returns what each split consists of."""

    def texts(self) -> Mapping[str, str]:
        """Returns text artifacts of the run: file name -> contents."""

    def lines(self, batch: Any, outputs: Any) -> Iterator[str]:  # noqa: ANN401 (the task's own)
        """Yields the lines that `unroll predict` writes for a batch of the test split."""


class Report(Protocol):
    """Results of a test: files, and tables and lines of output for the page of the run."""

    def write(self, folder: Path) -> list[Path]:
        """Writes the files into a folder, which is created if missing, and returns them."""

    def tables(self) -> Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]]:
        """Returns columns and rows of each table by name."""

    def examples(self) -> Sequence[str]:
        """Returns some lines of output."""


@runtime_checkable
class Reporting(Protocol):
    """A task that reports on a test."""

    def report(self) -> Report:
        """Returns the report of the last test."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A task or callback that starts from a file or run which its configuration names."""

    def read_files(self) -> None:
        """Reads it before a run is opened, unless training is resumed.

        Raises:
            InputError: If it is missing or damaged.
        """


@runtime_checkable
class ChecksModel(Protocol):
    """A callback that works with some models only."""

    def check_model(self, model: LightningModule) -> None:
        """Raises `InputError`, before a run is opened, if the callback cannot work with a model."""


@runtime_checkable
class ChecksProcesses(Protocol):
    """A datamodule that cannot be divided among any number of processes."""

    def check_processes(self, world_size: int) -> None:
        """Raises `InputError`, before a run is opened, if there are too many processes."""


@runtime_checkable
class ScalesRates(Protocol):
    """A callback that gives some parameters a learning rate of their own.

    Attributes:
        rate: Factor of the optimizer's learning rate.
    """

    rate: float

    def parameters_of(self, model: LightningModule) -> list[nn.Parameter]:
        """Returns the parameters."""


@runtime_checkable
class Head(Protocol):
    """An output layer, or a table of n-grams, that gives log-probabilities of tokens."""

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `pipeline.heads.OutputLayer`."""

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `pipeline.heads.OutputLayer`."""


@runtime_checkable
class Generator(Protocol):
    """A language model: text can be scored with it and sampled from it.

    Attributes:
        vocabulary: Token types.
        head: Reads the states that calling the model returns.
    """

    vocabulary: Vocabulary
    head: Head

    def __call__(self, tokens: Tensor, carry: Carry | None) -> tuple[Tensor, Carry]:
        """Reads tokens [batch time]; returns states for `head`, and the carry."""


@runtime_checkable
class EmbeddedLanguageModel(Protocol):
    """A language model whose embedding and encoder other tasks can start from."""

    vocabulary: Vocabulary
    embedding: nn.Embedding
    encoder: Encoder


@runtime_checkable
class NgramTables(Protocol):
    """A language model that consists of n-gram tables, which `unroll export` writes."""

    vocabulary: Vocabulary
    ngrams: NgramModel


@runtime_checkable
class SentenceTagger(Protocol):
    """A task that tags sentences outside of its corpus.

    Attributes:
        inputs: Input parts; `inputs.index` looks up new words.
        calibration: Slope and shift of the Platt calibration, a tensor of two numbers.
    """

    inputs: Any
    calibration: Tensor

    def predict(
        self, sentences: Sentences, tables: Sequence[Tensor] | None = None, bfloat16: bool = False
    ) -> list[Prediction]:
        """Predicts the tags of a batch, one prediction per row.

        With `bfloat16` the network, but not the decoder, may multiply in bfloat16.
        """

    def units(self, tags: Sequence[str]) -> list[Span]:
        """Returns the spans of tags."""


@runtime_checkable
class TextClassifier(Protocol):
    """A task that classifies texts outside of its corpus.

    Attributes:
        inputs: Input parts; `inputs.index` looks up new words.
        labels: Labels, in the order of the probabilities.
        pooling: Pooling; `Attention` can explain its decisions.
    """

    inputs: Any
    labels: Labels
    pooling: Any

    def predict(self, texts: Texts, tables: list[Tensor] | None = None) -> Tensor:
        """Returns the probabilities of the labels [batch label]."""

    def attention(self, texts: Texts, tables: list[Tensor] | None = None) -> Tensor:
        """Returns attention weights [batch time]."""


class OtherCorpus(NamedTuple):
    """Data that a model was not trained on, read as the model reads it.

    Attributes:
        module: Datamodule whose only split is "test".
        num_items: Number of sentences or texts.
        notes: What the user should know about the data.
        lexicon: Words of training and of the data; None if the model has a vocabulary instead.
        tokens: All tokens of the data, for a lexicon.
    """

    module: Corpus
    num_items: int = 0
    notes: Sequence[str] = ()
    lexicon: Lexicon | None = None
    tokens: Sequence[str] = ()


@runtime_checkable
class ReadsOtherData(Protocol):
    """A datamodule class whose models can be tested on other data."""

    def other(self, path: str, state: Mapping[str, Any]) -> OtherCorpus:
        """Reads other data.

        Args:
            path: File or folder.
            state: State of this datamodule in the checkpoint of the model. Vocabulary and labels
                come from it, so the corpus of training need not be there.

        Raises:
            InputError: If the data cannot be read, or does not fit the model.
        """


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


if TYPE_CHECKING:

    class TaskModule(LightningModule, Task):
        """A LightningModule that implements `Task`."""

    class CorpusModule(LightningDataModule, Corpus):
        """A LightningDataModule that implements `Corpus`."""

        name: str
