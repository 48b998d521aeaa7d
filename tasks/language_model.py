"""Language modelling: predicts each token of a stream from all tokens before it."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.analysis.gradients import LossAt
from pipeline.batches import IGNORE_INDEX, StreamWindow, column_share
from pipeline.checkpoints.build import class_at
from pipeline.cuda_graphs.losses import replayed_loss
from pipeline.cuda_graphs.recordable import allows_recording, is_recordable
from pipeline.cuda_graphs.replay import forget
from pipeline.encoders import (
    Carry,
    Encoder,
    concatenate_rows,
    detach_carry,
    flatten_carry,
    select_rows,
    unflatten_carry,
)
from pipeline.encoders.base import check_dropout, reads_ahead
from pipeline.heads import FullSoftmax, OutputLayer
from pipeline.heads.base import check_range, without_autocast
from pipeline.metrics import TextNll
from pipeline.metrics.score_log import log_token_scores, note_infinity
from pipeline.optimization import optimization, refuse_impossible, scaled_rates
from pipeline.regularization import ActivationPenalty, Dropouts
from pipeline.text.vocabulary import Vocabulary

OutputLayerCallable: TypeAlias = Callable[[int, Vocabulary], OutputLayer]
Monitor: TypeAlias = Literal["val/perplexity", "val/perplexity_known"]


class LanguageModel(LightningModule):
    """A recurrent language model: embedding, dropout, causal encoder, dropout, output layer.

    Training is truncated back-propagation through time: the encoder's carry is passed, detached,
    from each window of the stream to the next (Mikolov et al. 2011; Zaremba et al. 2014, arXiv
    1409.2329). Evaluation reads a whole file as one column without resetting the carry, in float32,
    and sums in float64, so that perplexity does not depend on the lengths of windows.

    A window that reads tokens again (`data.reread`) takes two calls of the encoder: dropout around
    the encoder has the same masks in both, dropout inside the encoder does not.

    Args:
        encoder: Causal encoder; its `input_size` is the size of the embedding.
        vocabulary: Vocabulary (the command line takes it from the corpus).
        head: Function that builds the output layer from (input size, vocabulary).
        dropout: Dropout probability of the embedding's output and of the encoder's output, or
            `Dropouts` with separate probabilities, also for whole words.
        tie_weights: Whether embedding and output layer share one matrix (Press & Wolf 2017, arXiv
            1608.05859).
        embedding_scale: Initial embeddings are uniform in [-embedding_scale, embedding_scale].
        optimizer: Function that builds the optimizer from the parameters.
        lr_scheduler: Function that builds the learning rate schedule from the optimizer; the
            schedule takes one step per epoch, after validation.
        penalty: Penalty on activations; in the training loss, but not in the logged loss.
        monitor: Validation score that selects the best checkpoint; "val/perplexity_known" leaves
            out `<unk>`.

    Raises:
        ValueError: If the encoder is not causal, the sizes of tied weights differ, or a probability
            is not in [0, 1).

    Example:
        >>> from pipeline.encoders import LSTM
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat", "sleeps"])
        >>> model = LanguageModel(LSTM(input_size=8, hidden_size=16), vocabulary)
        >>> states, carry = model(torch.tensor([[0, 2, 3]]))  # <eos> the cat
        >>> model.head.log_distribution(states).exp().sum(dim=-1).allclose(torch.ones(1, 3))
        True
    """

    experiment: ClassVar[str] = "lm"
    monitor_mode: ClassVar[str] = "min"
    from_data: ClassVar[dict[str, Any]] = {"vocabulary": Vocabulary.from_data}

    def __init__(
        self,
        encoder: Encoder,
        vocabulary: Vocabulary,
        head: OutputLayerCallable = FullSoftmax,
        dropout: float | Dropouts = 0.0,
        tie_weights: bool = False,
        embedding_scale: float = 0.1,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        penalty: ActivationPenalty | None = None,
        monitor: Monitor = "val/perplexity",
    ) -> None:
        super().__init__()
        if not encoder.is_causal:
            raise ValueError(
                "language modelling needs a causal encoder, which reads the past only, but this "
                f"{type(encoder).__name__} is not (set model.encoder.bidirectional to false, of a "
                "Window model.encoder.after to 0)"
            )
        if reads_ahead(encoder):
            raise ValueError(
                f"this {type(encoder).__name__} declares is_causal, but its states depend on later "
                "inputs, so that a language model would read the word that it predicts; test the "
                "encoder with pipeline.encoders.testing.assert_laws"
            )
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(len(vocabulary), encoder.input_size)
        nn.init.uniform_(self.embedding.weight, -embedding_scale, embedding_scale)
        if not isinstance(dropout, Dropouts):
            check_dropout(dropout)
            dropout = Dropouts(inputs=dropout, outputs=dropout, locked=False)
        self.dropout = dropout
        self.penalty = penalty
        self.monitor: str = monitor
        self.encoder = encoder
        self.head: OutputLayer = head(encoder.output_size, vocabulary)
        if tie_weights:
            self.head.tie(self.embedding)
        self.make_optimizer, self.make_lr_scheduler = optimizer, lr_scheduler
        refuse_impossible(self, optimizer, lr_scheduler)
        self.evaluation = TextNll(vocabulary.unk_id)
        self._carries: dict[str, Carry] = {}
        self.register_load_state_dict_post_hook(_forget_recordings)  # type: ignore[no-untyped-call]
        self._rate_factors: list[float] = []  # one per window since the last update

    @classmethod
    def portable(
        cls, init_args: Mapping[str, Any], checkpoint: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `pipeline.contracts.Portable`; a head can have parts that name files."""
        head = init_args.get("head")
        if not isinstance(head, Mapping) or "class_path" not in head:
            return dict(init_args)
        if not hasattr(class_at(head["class_path"]), "portable"):
            return dict(init_args)
        weights = {
            key.removeprefix("head."): value
            for key, value in checkpoint["state_dict"].items()
            if key.startswith("head.")
        }
        return {**init_args, "head": class_at(head["class_path"]).portable(head, weights)}

    def forward(self, tokens: Tensor, carry: Carry | None = None) -> tuple[Tensor, Carry]:
        """Reads tokens.

        Args:
            tokens: Token ids, int64 [batch time].
            carry: Carry of the encoder; None at the start of a stream.

        Returns:
            Inputs of the output layer [batch time encoder.output_size], and the new carry.
        """
        encoded = self.encoder(self.dropout.embed(self.embedding, tokens), carry=carry)
        return self.dropout.outputs(encoded.states), encoded.carry

    def on_train_epoch_start(self) -> None:
        """Resets the carry (Lightning skips this hook when it resumes within an epoch)."""
        self._carries.pop("train", None)

    def on_validation_epoch_start(self) -> None:
        """Resets the carry and the scores of evaluation."""
        self._carries.pop("evaluation", None)
        self.evaluation.reset()

    on_test_epoch_start = on_predict_epoch_start = on_validation_epoch_start

    def on_train_batch_start(self, batch: StreamWindow, batch_idx: int) -> None:
        """Stores the learning rate factor of the window."""
        self._rate_factors.append(batch.rate_factor)

    def training_step(self, window: StreamWindow, batch_idx: int) -> Tensor:
        """Returns the nll of the window's targets; its average over ranks is the mean per target.

        A penalty is in the gradient, but not in the value, so that logged losses are comparable.
        """
        carry = self._carries.get("train")
        if carry is not None and self._is_recordable:
            loss, carry = self._replay(window, carry)
        else:
            loss, carry = self._loss(window, carry)
        if carry is not None:
            self._carries["train"] = carry
        return loss

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer,  # type: ignore[override]  # or Lightning's wrapper
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Updates with the learning rate scaled by the windows' mean factor, after clipping."""
        factors, self._rate_factors = self._rate_factors, []
        with scaled_rates(optimizer, sum(factors) / len(factors)):
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def validation_step(self, window: StreamWindow, batch_idx: int) -> None:
        """Adds the window to the scores."""
        self.evaluation.update(self._log_probs(window), window.targets)

    def test_step(self, window: StreamWindow, batch_idx: int) -> dict[str, Tensor]:
        """Adds the window to the scores; returns `log_probs` in nats [batch time]."""
        log_probs = self._log_probs(window)
        self.evaluation.update(log_probs, window.targets)
        return {"log_probs": log_probs}

    def predict_step(self, window: StreamWindow, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Returns targets and their log-probabilities in nats, both [batch time]."""
        return window.targets, self._log_probs(window)

    def loss_at(self, batch: StreamWindow, from_right: bool) -> LossAt:
        """See `Traceable`; the loss is the nll of each row's last target, without a carry."""
        states, _ = self(batch.tokens)
        targets = batch.targets.to(states.device)
        states = states[:, states.shape[1] - targets.shape[1] :]
        steps = torch.arange(targets.shape[1], device=targets.device)
        last = torch.where(targets == IGNORE_INDEX, -1, steps).amax(dim=1)
        rows = torch.arange(len(targets), device=targets.device)
        chosen = last.clamp(min=0)
        log_probs = self.head.log_probs(
            states[rows, chosen].unsqueeze(1), targets[rows, chosen].unsqueeze(1)
        )
        reread = batch.tokens.shape[1] - targets.shape[1]
        steps = torch.where(last < 0, last, last + reread)
        return LossAt(-log_probs.sum(), steps, "nll of a token")

    def on_validation_epoch_end(self) -> None:
        """Logs `val/perplexity` and the other scores of `pipeline.metrics.token_scores`."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Logs `test/perplexity` and the other scores of `pipeline.metrics.token_scores`."""
        self._log_scores("test")

    def configure_optimizers(self) -> Any:  # noqa: ANN401 (Lightning's own union of nine types)
        """See `LightningModule.configure_optimizers`."""
        return optimization(self, self.make_optimizer, self.make_lr_scheduler, self.monitor)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the carry of all columns of all ranks, in order."""
        carry = self._carries.get("train")
        if not carry:
            return
        if self.trainer.world_size > 1:
            carries: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(carries, _to_cpu(carry))
            carry = concatenate_rows(carries)
        checkpoint["carry"] = _to_cpu(carry)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the carry of this rank's columns."""
        if "carry" in checkpoint and self._trainer is not None:
            carry = checkpoint["carry"]
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
            share = column_share(_num_rows(carry), rank, world_size)
            self._carries["train"] = select_rows(carry, share)

    def on_train_start(self) -> None:
        """Moves a restored carry to the device of the model."""
        if carry := self._carries.get("train"):
            self._carries["train"] = self.transfer_batch_to_device(carry, self.device, 0)

    def _log_scores(self, stage: str) -> None:
        log_token_scores(self, self.vocabulary, stage, self.evaluation)
        advice = "training has diverged; lower the learning rate, or set trainer.gradient_clip_val"
        note_infinity(stage, self.evaluation, advice)

    @cached_property
    def _is_recordable(self) -> bool:
        parts = (self.dropout, self.embedding, self.encoder, self.head, self.penalty)
        return allows_recording(self) and is_recordable(*parts)

    def _replay(self, window: StreamWindow, carry: Carry) -> tuple[Tensor, Carry]:
        """Computes `_loss` by CUDA graphs if the device and the shapes allow it."""

        def loss(tokens: Tensor, targets: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
            given = window._replace(tokens=tokens, targets=targets)
            value, after = self._loss(given, unflatten_carry(parts, carry))
            assert after is not None  # like `carry`
            return value, *flatten_carry(after)

        if window.targets.device != self.device:  # a recording does not check them
            check_range(window.targets, len(self.vocabulary))
        value, *parts = replayed_loss(
            self,
            loss,
            window.tokens,
            window.targets,
            *flatten_carry(carry),
            settings=(window.targets_per_rank, window.reread_next),
        )
        return value, unflatten_carry(parts, carry)

    def _loss(self, window: StreamWindow, carry: Carry | None) -> tuple[Tensor, Carry | None]:
        """Returns the training loss and the detached carry at the start of the next window."""
        states, carry = self._read(window, carry)
        dropped = self.dropout.outputs(states)
        nll = self.head.loss(dropped, window.targets) / window.targets_per_rank
        if self.penalty is None:
            return nll, carry
        penalty = self.penalty(dropped, states, window.targets, window.targets_per_rank)
        return nll + (penalty - penalty.detach()), carry

    def _read(self, window: StreamWindow, carry: Carry | None) -> tuple[Tensor, Carry | None]:
        """Returns the states at the targets and the carry at the start of the next window."""
        inputs = self.dropout.embed(self.embedding, window.tokens)
        kept = window.tokens.shape[1] - window.reread_next
        parts: list[Tensor] = []
        start = carry
        if kept:  # otherwise the next window starts at the same token
            states, carry = self.encoder(inputs[:, :kept], carry=carry)
            start = detach_carry(carry)
            parts.append(states)
        if window.reread_next:
            parts.append(self.encoder(inputs[:, kept:], carry=carry).states)
        states = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        return states[:, states.shape[1] - window.targets.shape[1] :], start

    def _log_probs(self, window: StreamWindow) -> Tensor:
        # In bf16 the perplexity would depend on the lengths of windows.
        with without_autocast(self.device):
            states, carry = self._read(window, self._carries.get("evaluation"))
            if carry is not None:
                self._carries["evaluation"] = carry
            return self.head.log_probs(self.dropout.outputs(states), window.targets)


def _forget_recordings(model: LanguageModel, _: object) -> None:
    forget(model)  # tables that an output layer derives from its buffers can be new


def _to_cpu(carry: Any) -> Any:  # noqa: ANN401 (a nest of tuples)
    if isinstance(carry, tuple):
        return tuple(_to_cpu(part) for part in carry)
    return carry.detach().cpu()


def _num_rows(carry: Any) -> int:  # noqa: ANN401 (a nest of tuples)
    while isinstance(carry, tuple):
        carry = carry[0]
    return int(carry.shape[0])
