"""N-gram language models, estimated from counts instead of by gradients."""

from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch import LightningModule
from torch import Tensor

from pipeline.batches import IGNORE_INDEX, StreamWindow, column_share
from pipeline.console import print_note
from pipeline.encoders import Carry
from pipeline.errors import InputError
from pipeline.heads.ngram import NgramHead
from pipeline.metrics import TextNll, perplexity
from pipeline.metrics.score_log import log_token_scores
from pipeline.ngrams import Counts, NgramModel, Smoothing, count, read_arpa
from pipeline.ngrams.counting import check_order
from pipeline.text.vocabulary import UNK, Vocabulary


class ArpaFile(NamedTuple):
    """An ARPA file, which contains a model estimated by another program."""

    path: Path


class NgramLanguageModel(LightningModule):
    """An n-gram language model: p(word | the order-1 words before it in its sentence).

    Training reads the windows of one epoch, whose concatenated columns are the whole text, and
    estimates the model before validation, without gradients; a second epoch would change nothing.
    Evaluation counts the same tokens as for networks. States are contexts, and the carry is the
    last context.

    Validation during training also logs `val/perplexity_order_k` for each lower order k, of a
    separate model of order k whose longest n-grams have the counts of the text.

    Args:
        vocabulary: Vocabulary (the command line takes it from the corpus).
        order: Length of the longest n-grams, 1 to 9; not used with `arpa`.
        smoothing: Estimator of probabilities from counts; excludes `arpa`.
        arpa: ARPA file of an estimated model, with the same words as the corpus; excludes
            `smoothing`.

    Raises:
        ValueError: If the order is out of range, the smoothing has more settings than orders, or
            both or neither of `smoothing` and `arpa` are given.

    Example:
        >>> from pipeline.ngrams import AddDelta
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"])
        >>> model = NgramLanguageModel(vocabulary, order=2, smoothing=AddDelta(0.5))
        >>> counts = count(np.array([2, 3, 0]), eos_id=0, vocab_size=4, order=2)  # "the cat"
        >>> model.head.model = model.encoder.estimate(counts).model  # as training does
        >>> states, _ = model(torch.tensor([[2]]))
        >>> model.head.log_distribution(states).exp()  # the word after "the"
        tensor([[[0.1667, 0.1667, 0.1667, 0.5000]]], dtype=torch.float64)
    """

    experiment: ClassVar[str] = "lm"
    monitor: ClassVar[str] = "val/perplexity"
    monitor_mode: ClassVar[str] = "min"
    from_data: ClassVar[dict[str, Any]] = {"vocabulary": Vocabulary.from_data}

    def __init__(
        self,
        vocabulary: Vocabulary,
        order: int = 5,
        smoothing: Smoothing | None = None,
        arpa: str | None = None,
    ) -> None:
        super().__init__()
        check_order(order)
        if (smoothing is None) == (arpa is None):
            raise ValueError(
                "an n-gram model is estimated with a smoothing or read from an ARPA file: give one "
                "of model.smoothing and model.arpa"
            )
        if smoothing is not None:
            smoothing.check(order)
        self.automatic_optimization = False
        self.order, self.vocabulary = order, vocabulary
        self.encoder = smoothing if smoothing is not None else ArpaFile(Path(str(arpa)))
        self.head = NgramHead(vocabulary)
        self.evaluation = TextNll(vocabulary.unk_id)
        self._has_read = False  # whether the ARPA file was read
        self._read: list[Tensor] = []  # targets of this epoch's windows, int32 [column time]
        self._is_list = False  # whether rows are items; each rank joins its own in one column
        self._validated: list[Tensor] = []  # targets, for scores of the lower orders
        self._counts: Counts | None = None
        self._carry: Carry | None = None
        self._num_impossible = 0  # tokens of probability 0

    @property
    def ngrams(self) -> NgramModel:
        """The estimated tables."""
        return self.head.model

    def forward(self, tokens: Tensor, carry: Carry | None = None) -> tuple[Tensor, Carry]:
        """Reads tokens.

        Args:
            tokens: Token ids, int64 [batch time].
            carry: Context before the first token; None at the start of a stream, which is the
                start of a sentence.

        Returns:
            The context after each token, int64 [batch time order-1], and as the carry the last
            context, int64 [batch order-1]. -1 is the padding before the start of a sentence.
        """
        return self.head.contexts(tokens, carry)

    def read_files(self) -> None:
        """See `ReadsFiles`; reads the ARPA file, if there is one."""
        if isinstance(self.encoder, ArpaFile):
            self.head.model = read_arpa(self.encoder.path, self.vocabulary)[0]
            self._has_read = True

    def setup(self, stage: str) -> None:
        """Reads the ARPA file; when training resumes, the checkpoint contains its model."""
        if stage == "fit" and not self.trainer.ckpt_path and not self._has_read:
            self.read_files()

    def configure_optimizers(self) -> None:
        """See `LightningModule.configure_optimizers`; an n-gram model has no optimizer."""

    def on_train_epoch_start(self) -> None:
        """Clears the windows (Lightning skips this hook when it resumes within an epoch)."""
        self._read.clear()

    def training_step(self, window: StreamWindow, batch_idx: int) -> None:
        """Stores the window's targets."""
        if isinstance(self.encoder, Smoothing):
            targets = window.targets.to("cpu", torch.int32)
            if window.afresh:  # independent items, one per row: joined in one column
                targets = targets[targets != IGNORE_INDEX].unsqueeze(0)
                self._is_list = True
            self._read.append(targets)
        cast(Any, self.optimizers()).step()  # Lightning's dummy optimizer, which counts updates

    def on_train_epoch_end(self) -> None:
        """Ends training after one epoch, since another one would give the same counts."""
        self.trainer.should_stop = True

    def on_train_end(self) -> None:
        """Estimates the model, if no validation has done so."""
        self._estimate()
        self._counts = None

    def on_validation_epoch_start(self) -> None:
        """Estimates the model from the windows read so far; resets the scores."""
        if self.trainer.state.fn == "fit":
            self._estimate()
        self.on_test_epoch_start()

    def on_test_epoch_start(self) -> None:
        """Resets the context and the scores."""
        self._carry, self._num_impossible = None, 0
        self._validated.clear()
        self.evaluation.reset()

    on_predict_epoch_start = on_test_epoch_start

    def validation_step(self, window: StreamWindow, batch_idx: int) -> None:
        """Adds the window to the scores."""
        if self.trainer.sanity_checking:
            return  # there are no counts yet
        self.test_step(window, batch_idx)
        if self._counts is not None:
            self._validated.append(window.targets[window.targets != IGNORE_INDEX].cpu())

    def test_step(self, window: StreamWindow, batch_idx: int) -> dict[str, Tensor]:
        """Adds the window to the scores; returns `log_probs` in nats [batch time]."""
        log_probs = self._log_probs(window)
        self._num_impossible += int((log_probs == -torch.inf).sum())
        self.evaluation.update(log_probs, window.targets)
        return {"log_probs": log_probs}

    def predict_step(self, window: StreamWindow, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Returns targets and their log-probabilities in nats, both [batch time]."""
        return window.targets, self._log_probs(window)

    def on_validation_epoch_end(self) -> None:
        """Logs `val/perplexity`, and during training the perplexity of each lower order."""
        if self.trainer.sanity_checking:
            return
        self._log_scores("val")
        self._log_lower_orders()
        if self.trainer.state.fn == "fit" and self.trainer.is_last_batch:
            self._read.clear()  # the checkpoint of an estimated model needs no text

    def on_test_epoch_end(self) -> None:
        """Logs `test/perplexity` and the other scores of `pipeline.metrics.token_scores`."""
        self._log_scores("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the targets read in this epoch, for all columns in order."""
        if self._read:
            columns = self._all_columns()
            if self._is_list:  # one row, for any number of ranks
                columns = columns[columns != IGNORE_INDEX].unsqueeze(0)
            checkpoint["read"], checkpoint["read_is_list"] = columns, self._is_list

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the targets of this rank's columns."""
        if "read" in checkpoint and self._trainer is not None:
            columns, rank = checkpoint["read"], self.trainer.global_rank
            if checkpoint["read_is_list"]:
                self._read = [columns.clone() if rank == 0 else columns.new_empty(1, 0)]
                return
            share = column_share(len(columns), rank, self.trainer.world_size)
            self._read = [columns[share].clone()]

    def _all_columns(self) -> Tensor:
        """Returns the targets read by all ranks, int32 [column time]."""
        own = torch.cat(self._read, dim=1)
        if self.trainer.world_size == 1:
            return own
        parts: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(parts, own)
        longest = max(part.shape[1] for part in parts)  # ranks have items of different lengths
        padded = [F.pad(part, (0, longest - part.shape[1]), value=IGNORE_INDEX) for part in parts]
        return torch.cat(padded)

    def _estimate(self) -> None:
        if not self._read:
            return
        assert isinstance(self.encoder, Smoothing)
        ids = self._all_columns().flatten().numpy()
        ids = ids[ids != IGNORE_INDEX]
        try:
            self._counts = count(ids, self.head.eos_id, self.head.vocab_size, self.order)
        except ValueError as error:
            raise InputError(f"--model.order: {error}") from error
        self.head.model, notes = self.encoder.estimate(self._counts)
        sizes = enumerate(map(len, self.head.model.probs), 1)
        print_note("n-grams: " + "; ".join(f"order {n}: {size:,}" for n, size in sizes))
        for note in notes:
            print_note(f"note: {note}")

    def _log_probs(self, window: StreamWindow) -> Tensor:
        states, carry = self(window.tokens, self._carry)
        if not window.afresh:
            self._carry = carry
        return self.head.log_probs(states, window.targets)

    def _log_scores(self, stage: str) -> None:
        log_token_scores(self, self.vocabulary, stage, self.evaluation)
        if self._num_impossible:
            print_note(
                f"note: {self._num_impossible:,} tokens have probability 0, so that "
                f"{stage}/perplexity is infinite; {self._advice}"
            )

    @property
    def _advice(self) -> str:
        if isinstance(self.encoder, ArpaFile):
            return (
                f"the ARPA file gives them none; if they are {UNK}, compare models by "
                "perplexity_known"
            )
        return "choose a smoothing without zeros, such as KneserNey"

    def _log_lower_orders(self) -> None:
        if self._counts is None or not self._validated:
            return
        assert isinstance(self.encoder, Smoothing)
        ids = torch.cat(self._validated).numpy()
        for order in range(1, self.order):
            model = self.encoder.estimate(self._counts.up_to(order)).model
            nll = torch.tensor(-float(np.mean(model.log_probs(ids))), dtype=torch.float64)
            self.log(f"val/perplexity_order_{order}", perplexity(nll))
        self._counts = None
        self._validated.clear()
