"""Sentiment: predicts one label for a whole text."""

from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from pipeline.analysis.gradients import LossAt
from pipeline.batches import Texts
from pipeline.callbacks.encoder_start import EncoderStart
from pipeline.encoders import Encoder, VariationalDropout
from pipeline.inputs import InputPart, Inputs, Words
from pipeline.metrics import LOWER_IS_BETTER, LabelScores
from pipeline.metrics.gather import gathered
from pipeline.metrics.score_log import log_scores
from pipeline.optimization import optimization, refuse_impossible
from pipeline.pooling import Attention, Last, Pooling
from pipeline.regularization import leave_out_words
from pipeline.reports import LabelReport
from pipeline.text.lexicon import Labels, Lexicon
from pipeline.transfers import Constant, on_host, to_device


class _Scored(NamedTuple):
    gold: int  # negative if the label does not occur in training
    probabilities: list[float]


class SentenceClassifier(LightningModule):
    """A text classifier: input parts, dropout, any encoder, pooling, hidden layers, softmax.

    With `LSTM` and `Last` it is an acceptor; with `Identity`, `Mean`, hidden layers and word
    dropout it is the deep averaging network of Iyyer et al. (2015, "Deep Unordered Composition
    Rivals Syntactic Methods for Text Classification", ACL).

    Args:
        encoder: Encoder; its `input_size` is the sum of the sizes of the input parts.
        lexicon: Words and columns (the command line takes them from the corpus).
        labels: Labels (the command line takes them from the corpus).
        inputs: Input parts, whose vectors are concatenated for each token; by default `Words` of
            the encoder's `input_size`.
        pooling: Pooling of the states into one vector; by default `Last`.
        hidden_sizes: Sizes of the hidden layers (ReLU) between that vector and the labels.
        dropout: Dropout probability of the inputs of the encoder and of each layer above it.
        word_dropout: Probability of removing a token from a training text (Iyyer et al., section
            3.1); a text that would lose all its tokens is kept unchanged.
        variational: Whether all tokens of a text have the same dropout mask (Gal and Ghahramani
            2016, arXiv 1512.05287).
        class_weights: Weights of the labels in the loss; "balanced" gives each label the same
            total weight, independent of its frequency.
        monitor: Validation metric that selects the best checkpoint.
        encoder_from: Run of a language model whose encoder and embedding initialize this model, or
            an `EncoderStart`, which can also freeze them or scale their learning rate.
        optimizer: Function that builds the optimizer from the parameters.
        lr_scheduler: Function that builds the learning rate schedule from the optimizer; the
            schedule takes one step per epoch, after validation.

    Raises:
        ValueError: If the sum of the sizes of the input parts is not the encoder's `input_size`, a
            number is out of range, or a part does not fit the corpus.

    Example:
        >>> from datamodules.sentiment.builtin import BuiltinReviews
        >>> from datamodules.sentiment.datamodule import SentimentData
        >>> from pipeline.encoders import LSTM
        >>> data = SentimentData(BuiltinReviews(num_train=20))
        >>> model = SentenceClassifier(LSTM(8, 16), data.lexicon, data.labels)
        >>> model.predict(next(iter(data.val_dataloader()))).shape[1] == len(data.labels.names)
        True
    """

    experiment: ClassVar[str] = "sentiment"
    from_data: ClassVar[dict[str, Any]] = {"lexicon": Lexicon.from_data, "labels": Labels.from_data}

    def __init__(
        self,
        encoder: Encoder,
        lexicon: Lexicon,
        labels: Labels,
        inputs: list[InputPart] | None = None,
        pooling: Pooling | None = None,
        hidden_sizes: list[int] | None = None,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        variational: bool = False,
        class_weights: Literal["none", "balanced"] = "none",
        monitor: str = "val/accuracy",
        encoder_from: EncoderStart | str | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= word_dropout < 1:
            raise ValueError(f"word_dropout must be at least 0 and below 1, got {word_dropout}")
        parts = inputs or [Words(size=encoder.input_size)]
        self.inputs = Inputs(parts, lexicon, encoder.input_size)
        self.dropout = VariationalDropout(dropout) if variational else nn.Dropout(dropout)
        self.encoder = encoder
        self.pooling = pooling or Last()
        self.pooling.fit(encoder)
        sizes = [self.pooling.output_size, *(hidden_sizes or []), len(labels.names)]
        self.layers = _layers(sizes, dropout)
        self.labels, self.word_dropout, self.monitor = labels, word_dropout, monitor
        self._weights = Constant(_class_weights(labels.counts, class_weights))
        self.encoder_start = EncoderStart.of(encoder_from)
        self.make_optimizer, self.make_lr_scheduler = optimizer, lr_scheduler
        refuse_impossible(self, optimizer, lr_scheduler)
        self.scores = LabelScores(labels.names, labels.is_ordinal)
        self.monitor_mode = _direction(monitor, self.scores.names)
        self._evaluated: dict[int, _Scored] = {}

    def forward(self, texts: Texts, tables: list[Tensor] | None = None) -> Tensor:
        """Returns the logits of the labels [batch label].

        Args:
            texts: Batch; its labels are not used.
            tables: Result of `inputs.index` for the strings of the batch; by default that of the
                lexicon.
        """
        logits: Tensor = self.layers(self.pooling(self._states(texts, tables), texts.lengths))
        return logits

    def configure_callbacks(self) -> list[Callback]:
        """See `LightningModule.configure_callbacks`."""
        return [self.encoder_start] if self.encoder_start is not None else []

    def on_validation_epoch_start(self) -> None:
        """Resets the scores and the predictions."""
        self.scores.reset()
        self._evaluated = {}

    on_test_epoch_start = on_validation_epoch_start

    def training_step(self, texts: Texts, batch_idx: int) -> Tensor:
        """Returns the nll; its average over ranks is the mean over texts."""
        if self.word_dropout:
            texts = leave_out_words(texts, self.word_dropout)
        logits = self(texts)
        nll = nn.functional.cross_entropy(
            logits, texts.labels, weight=self._weights.on(logits), reduction="sum"
        )
        return nll / texts.targets_per_rank

    def validation_step(self, texts: Texts, batch_idx: int) -> None:
        """Adds the batch to the scores."""
        is_text = texts.rows >= 0  # other rows only give ranks equal numbers of rows
        probabilities, gold = on_host(self.predict(texts), texts.labels)
        probabilities, gold, rows = probabilities[is_text], gold[is_text], texts.rows[is_text]
        self.scores.update(gold, probabilities)
        self._evaluated.update(
            (row, _Scored(*pair))
            for row, *pair in zip(rows.tolist(), gold.tolist(), probabilities.tolist(), strict=True)
        )

    test_step = validation_step

    def predict_step(self, texts: Texts, batch_idx: int) -> dict[int, list[float]]:
        """Returns the probabilities of the labels for each row that contains a text."""
        predicted = zip(texts.rows.tolist(), self.predict(texts).tolist(), strict=True)
        return {row: one for row, one in predicted if row >= 0}

    def loss_at(self, batch: Texts, from_right: bool) -> LossAt:
        """See `Traceable`; the loss is the nll of a text, at the last token read."""
        lengths = to_device(batch.lengths, batch.labels.device)
        is_known = (batch.labels >= 0) & (lengths > 0)
        ends = torch.zeros_like(lengths) if from_right else lengths - 1
        logits = self(batch)[is_known]
        total = nn.functional.cross_entropy(logits, batch.labels[is_known], reduction="sum")
        return LossAt(total, torch.where(is_known, ends, -1), "nll of a text's label")

    def on_validation_epoch_end(self) -> None:
        """Logs `val/accuracy` and the other scores."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Logs `test/accuracy` and the other scores."""
        self._log_scores("test")

    def report(self) -> LabelReport:
        """See `Reporting`; confusions, calibration and the worst texts."""
        texts = cast(Any, self.trainer).datamodule.split("test")
        return LabelReport(
            texts=[texts[row].tokens for row in self._evaluated],
            gold=[texts[row].label for row in self._evaluated],
            probabilities=[scored.probabilities for scored in self._evaluated.values()],
            labels=self.labels.names,
        )

    def configure_optimizers(self) -> Any:  # noqa: ANN401 (Lightning's own union of nine types)
        """See `LightningModule.configure_optimizers`."""
        return optimization(self, self.make_optimizer, self.make_lr_scheduler, self.monitor)

    @torch.no_grad()
    def predict(self, texts: Texts, tables: list[Tensor] | None = None) -> Tensor:
        """Returns the probabilities of the labels [batch label], in float32 even under autocast.

        The arguments are as in `forward`.
        """
        # In bf16 scores would depend on the batches of texts.
        with torch.autocast(self.device.type, enabled=False):
            probabilities: Tensor = self(texts, tables).softmax(dim=-1)
        return probabilities

    @torch.no_grad()
    def attention(self, texts: Texts, tables: list[Tensor] | None = None) -> Tensor:
        """Returns the attention weights of the tokens [batch time]; arguments as in `forward`.

        Raises `ValueError` if the pooling of the model is not `Attention`.
        """
        if not isinstance(self.pooling, Attention):
            raise ValueError(
                f"attention weights need a model with pipeline.pooling.Attention, but this one has "
                f"{type(self.pooling).__name__}; use --explain leave-one-out instead"
            )
        with torch.autocast(self.device.type, enabled=False):
            return self.pooling.weights(self._states(texts, tables), texts.lengths)

    def _states(self, texts: Texts, tables: list[Tensor] | None) -> Tensor:
        inputs = self.dropout(self.inputs(texts.words, texts.columns, tables))
        states: Tensor = self.encoder(inputs, texts.lengths).states
        return states

    def _log_scores(self, stage: str) -> None:
        if stage == "test":
            self._evaluated = gathered(self._evaluated, self.trainer.world_size)
        log_scores(self, stage, self.scores.compute())


def _direction(monitor: str, names: set[str]) -> str:
    stage, _, name = monitor.partition("/")
    if stage != "val" or name not in names:
        known = ", ".join(f"val/{name}" for name in sorted(names))
        raise ValueError(f"monitor is {monitor!r}, but the metrics are {known}")
    return "min" if name in LOWER_IS_BETTER else "max"


def _layers(sizes: list[int], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        if after < 1:
            raise ValueError(f"hidden_sizes must be at least 1, got {after}")
        layers += [nn.Dropout(dropout), nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _class_weights(counts: tuple[int, ...], kind: str) -> Tensor:
    if kind == "balanced":
        return sum(counts) / (len(counts) * torch.tensor(counts, dtype=torch.float32))
    return torch.ones(len(counts))
