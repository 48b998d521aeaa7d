"""Tagging: predicts a tag for each token of a sentence."""

import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, ClassVar, Literal, TypeAlias, cast

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from pipeline.analysis.gradients import LossAt
from pipeline.batches import UNSEEN_TAGS, Sentences
from pipeline.callbacks.encoder_start import EncoderStart
from pipeline.decoders import Decoder, Softmax
from pipeline.encoders import Encoder, VariationalDropout
from pipeline.inputs import InputPart, Inputs, Words
from pipeline.metrics import SpanScores, TokenScores
from pipeline.metrics.gather import Evaluated, Prediction, gathered
from pipeline.metrics.score_log import log_scores
from pipeline.optimization import optimization, refuse_impossible
from pipeline.reports import TaggingReport, apply_platt, fit_platt
from pipeline.text.lexicon import Lexicon
from pipeline.text.tags import Span, are_labels, spans, types_of
from pipeline.transfers import to_device

DecoderCallable: TypeAlias = Callable[[int, Sequence[str]], Decoder]


class Tagger(LightningModule):
    """A sequence tagger: input parts, dropout, any encoder, dropout, decoder.

    With `Elman(bidirectional=True, nonlinearity="relu")` and `Softmax` it is the deep recurrent
    network of Irsoy and Cardie (2014, "Opinion Mining with Deep Recurrent Neural Networks", EMNLP),
    with `Window` a window classifier, and with `LSTM` and `CRF` the tagger of Lample et al. (2016,
    arXiv 1603.01360).

    Args:
        encoder: Encoder; its `input_size` is the sum of the sizes of the input parts.
        lexicon: Words and columns (the command line takes them from the corpus).
        tags: Tags (the command line takes them from the corpus).
        inputs: Input parts, whose vectors are concatenated for each token; by default `Words` of
            the encoder's `input_size`.
        decoder: Function that builds the decoder from (input size, tags).
        dropout: Dropout probability of the inputs and of the states of the encoder.
        variational: Whether all tokens of a sentence have the same dropout mask (Gal and Ghahramani
            2016, arXiv 1512.05287).
        gradients: "mean" or "sum" over the tokens of a batch.
        monitor: Validation metric that selects the best checkpoint; by default `val/f1`, or
            `val/accuracy` if tags are plain labels.
        encoder_from: Run of a language model whose encoder and embedding initialize this model, or
            an `EncoderStart`, which can also freeze them or scale their learning rate.
        optimizer: Function that builds the optimizer from the parameters.
        lr_scheduler: Function that builds the learning rate schedule from the optimizer; the
            schedule takes one step per epoch, after validation.

    Raises:
        ValueError: If the sum of the sizes of the input parts is not the encoder's `input_size`, or
            a part does not fit the corpus.

    Example:
        >>> from datamodules.tagging.builtin import BuiltinOpinions
        >>> from datamodules.tagging.datamodule import TaggingData
        >>> from pipeline.encoders import LSTM
        >>> data = TaggingData(BuiltinOpinions(num_train=20))
        >>> model = Tagger(LSTM(8, 16, bidirectional=True), data.lexicon, data.tags)
        >>> batch = next(iter(data.val_dataloader()))
        >>> set(model.predict(batch)[0].tags) <= set(data.tags)
        True
    """

    experiment: ClassVar[str] = "tagging"
    monitor_mode: ClassVar[str] = "max"
    from_data: ClassVar[dict[str, Any]] = {"lexicon": Lexicon.from_data, "tags": itemgetter("tags")}

    def __init__(
        self,
        encoder: Encoder,
        lexicon: Lexicon,
        tags: Sequence[str],
        inputs: list[InputPart] | None = None,
        decoder: DecoderCallable = Softmax,
        dropout: float = 0.0,
        variational: bool = False,
        gradients: Literal["mean", "sum"] = "mean",
        monitor: str | None = None,
        encoder_from: EncoderStart | str | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        parts = inputs or [Words(size=encoder.input_size)]
        self.inputs = Inputs(parts, lexicon, encoder.input_size)
        self.dropout = VariationalDropout(dropout) if variational else nn.Dropout(dropout)
        self.encoder = encoder
        self.decoder: Decoder = decoder(encoder.output_size, tags)
        self.gradients = gradients
        self.encoder_start = EncoderStart.of(encoder_from)
        self.make_optimizer, self.make_lr_scheduler = optimizer, lr_scheduler
        refuse_impossible(self, optimizer, lr_scheduler)
        self.monitor = monitor or ("val/accuracy" if are_labels(tags) else "val/f1")
        # Slope and shift of a sigmoid, fitted on validation; a parameter, so that it is saved, and
        # not a buffer, which DDP would broadcast before each step.
        self.calibration = nn.Parameter(torch.tensor([1.0, 0.0]), requires_grad=False)
        self._evaluated: dict[int, Evaluated] = {}
        self.scores = TokenScores(tags) if are_labels(tags) else SpanScores(types_of(tags))

    def forward(self, sentences: Sentences, tables: Sequence[Tensor] | None = None) -> Tensor:
        """Returns the inputs of the decoder [batch time encoder.output_size].

        Args:
            sentences: Batch; its gold tags are not used.
            tables: Result of `inputs.index` for the strings of the batch; by default that of the
                lexicon.
        """
        inputs = self.dropout(self.inputs(sentences.words, sentences.columns, tables))
        states: Tensor = self.dropout(self.encoder(inputs, sentences.lengths).states)
        return states

    def configure_callbacks(self) -> list[Callback]:
        """See `LightningModule.configure_callbacks`."""
        return [self.encoder_start] if self.encoder_start is not None else []

    def on_validation_epoch_start(self) -> None:
        """Resets the scores and the predictions."""
        self.scores.reset()
        self._evaluated = {}

    on_test_epoch_start = on_validation_epoch_start

    def training_step(self, sentences: Sentences, batch_idx: int) -> Tensor:
        """Returns the nll; its average over ranks is the mean or the sum over tokens."""
        states = self(sentences)
        nll = self.decoder.loss(states, sentences.tags, sentences.lengths)
        if self.gradients == "sum":
            return nll * self.trainer.world_size
        return nll / sentences.targets_per_rank

    def validation_step(self, sentences: Sentences, batch_idx: int) -> None:
        """Adds the batch to the scores."""
        predictions, [tags] = self._predict(sentences, None, sentences.tags)
        self._add(sentences, tags, predictions, [math.nan] * len(predictions))

    def test_step(self, sentences: Sentences, batch_idx: int) -> None:
        """Adds the batch to the scores, with the nll of the gold tags."""
        predictions, [tags, nll] = self._predict(sentences, None, sentences.tags, with_nll=True)
        self._add(sentences, tags, predictions, nll.tolist())

    def _add(
        self,
        sentences: Sentences,
        tags: Tensor,
        predictions: Sequence[Prediction],
        nll: Sequence[float],
    ) -> None:
        new: dict[int, Evaluated] = {}
        for row, ids, predicted, loss in zip(
            sentences.rows.tolist(), tags.tolist(), predictions, nll, strict=True
        ):
            if row >= 0:  # other rows only give ranks equal numbers of rows
                gold = [self._gold_tag(i) for i in ids[: len(predicted.tags)]]
                new[row] = Evaluated(gold, predicted, loss)
        self.scores.update(
            [one.gold for one in new.values()], [one.predicted.tags for one in new.values()]
        )
        self._evaluated.update(new)

    def predict_step(self, sentences: Sentences, batch_idx: int) -> dict[int, Prediction]:
        """Returns the prediction for each row that contains a sentence."""
        predicted = zip(sentences.rows.tolist(), self.predict(sentences), strict=True)
        return {row: one for row, one in predicted if row >= 0}

    def loss_at(self, batch: Sentences, from_right: bool) -> LossAt:
        """See `Traceable`; the gradient is through the state of the last (or first) token only.

        With `Softmax` that is the nll of its tag; the loss of a CRF is that of the whole sentence.
        """
        states = self(batch)
        steps = torch.arange(states.shape[1], device=states.device)
        lengths = to_device(batch.lengths, states.device)
        is_real = steps < lengths.unsqueeze(1)
        is_known = ~((batch.tags < 0) & is_real).any(dim=1) & (lengths > 0)
        chosen = torch.where(is_known, torch.zeros_like(lengths) if from_right else lengths - 1, -1)
        is_chosen = (steps == chosen.unsqueeze(1)).unsqueeze(-1)
        through = torch.where(is_chosen, states, states.detach())
        total = self.decoder.loss(through, batch.tags.clamp(min=0), batch.lengths)
        return LossAt(total, chosen, "loss of a sentence by the state of one token")

    def on_validation_epoch_end(self) -> None:
        """Fits the calibration; logs `val/f1` and the other scores."""
        self._log_scores("val")
        self._calibrate()

    def on_test_epoch_end(self) -> None:
        """Logs `test/f1` and the other scores."""
        self._log_scores("test")

    def report(self) -> TaggingReport:
        """See `Reporting`; scores by type and length, confusions and worst sentences."""
        sentences = cast(Any, self.trainer).datamodule.sentences("test")
        results, calibration = self._evaluated.values(), self.calibration.tolist()
        return TaggingReport(
            tokens=[sentences[row].tokens for row in self._evaluated],
            gold=[sentences[row].tags for row in self._evaluated],
            predicted=[one.predicted.tags for one in results],
            confidences=[apply_platt(one.predicted.log_probs, calibration) for one in results],
            nll=[one.nll for one in results],
        )

    def configure_optimizers(self) -> Any:  # noqa: ANN401 (Lightning's own union of nine types)
        """See `LightningModule.configure_optimizers`."""
        return optimization(self, self.make_optimizer, self.make_lr_scheduler, self.monitor)

    def predict(
        self, sentences: Sentences, tables: Sequence[Tensor] | None = None, bfloat16: bool = False
    ) -> list[Prediction]:
        """Predicts the tags of each row.

        Args:
            sentences: Batch; its gold tags are not used.
            tables: Result of `inputs.index`, as in `forward`.
            bfloat16: Whether the network multiplies in bfloat16, which makes scores depend on the
                batches of sentences. The decoder always uses float32, even under autocast.

        Returns:
            Tags and the log-probabilities of their spans, one item for each row.
        """
        return self._predict(sentences, tables, bfloat16=bfloat16)[0]

    @torch.no_grad()
    def _predict(
        self,
        sentences: Sentences,
        tables: Sequence[Tensor] | None,
        *others: Tensor,
        bfloat16: bool = False,
        with_nll: bool = False,
    ) -> tuple[list[Prediction], list[Tensor]]:
        # In bfloat16 scores would depend on the batches of sentences.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            states = self(sentences, tables)
        with torch.autocast(self.device.type, enabled=False):
            if with_nll:
                others = (*others, self._nll(states, sentences))
            found = self.decoder.predict(states, sentences.lengths, self.units, *others)
        pairs = zip(found.tags, found.log_probs, strict=True)
        return [Prediction(*pair) for pair in pairs], found.others

    def _gold_tag(self, tag_id: int) -> str:
        """Returns a tag of the tag set, or a distinct BIO tag for each tag unseen in training."""
        if tag_id >= 0:
            return self.decoder.tags[tag_id]
        number, is_inside = divmod(UNSEEN_TAGS - tag_id, 2)
        return f"{'BI'[is_inside]}-\tunseen{number}"  # no tag in a file contains a TAB

    def _nll(self, states: Tensor, sentences: Sentences) -> Tensor:
        """Returns the nll of the gold tags in nats per token [batch].

        Tags that training lacks count as tags of probability 1e-12.
        """
        lengths = to_device(sentences.lengths, states.device)
        is_real = torch.arange(states.shape[1], device=states.device) < lengths.unsqueeze(1)
        unseen = ((sentences.tags < 0) & is_real).sum(dim=1)
        seen = self.decoder.nll(states, sentences.tags.clamp(min=0), sentences.lengths)
        return (seen - unseen * math.log(1e-12)) / lengths.clamp(min=1)

    def _log_scores(self, stage: str) -> None:
        # All ranks fit the calibration to the same sentences, so that it is bit-identical.
        self._evaluated = gathered(self._evaluated, self.trainer.world_size)
        log_scores(self, stage, self.scores.compute())

    def _calibrate(self) -> None:
        log_probs, is_right = [], []
        for gold, predicted, _ in self._evaluated.values():
            true = set(self.units(gold))
            log_probs += predicted.log_probs
            is_right += [unit in true for unit in self.units(predicted.tags)]
        self.calibration.copy_(torch.tensor(fit_platt(log_probs, is_right)))

    def units(self, tags: Sequence[str]) -> list[Span]:
        """Returns the spans of tags; if tags are plain labels, each token is a span."""
        if are_labels(self.decoder.tags):
            return [Span(tag, index, index + 1) for index, tag in enumerate(tags)]
        return spans(tags)
