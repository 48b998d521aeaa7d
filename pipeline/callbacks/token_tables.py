"""Tables about a language model: generated samples, worst sentences, loss by word frequency."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from pipeline.callbacks.token_losses import TokenLosses
from pipeline.checkpoints.read import Trained
from pipeline.contracts import Generator
from pipeline.inference.generate import generate_texts
from pipeline.options import Sampling
from pipeline.protocols import implements
from pipeline.reports.pictures import draw_frequency_loss
from pipeline.text.units import Unit, join_tokens
from pipeline.text.vocabulary import Vocabulary
from pipeline.tracking.logger import RunTracker

WORST = 50
"""Number of sentences in the table of the worst ones."""
_SAMPLING = Sampling(num=3, length=30)


class SampleLog(Callback):
    """Logs three samples after each epoch of a language model on a CPU, as `tables/samples.json`.

    The samples have a generator of random numbers of their own, so that training does not change.

    Attributes:
        rows: Epoch and sample, for all epochs.
    """

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `Callback`."""
        if not self.rows:  # a test reads an earlier checkpoint, whose samples are fewer
            self.rows = [list(row) for row in state_dict["rows"]]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        if pl_module.device.type != "cpu" or not implements(pl_module, Generator):
            return
        data = trainer.datamodule.state_dict()  # type: ignore[attr-defined]
        epoch = trainer.current_epoch + 1
        trained = Trained(cast(LightningModule, pl_module), data, {})
        texts = generate_texts(trained, "", _SAMPLING._replace(seed=epoch))
        self.rows = [row for row in self.rows if row[0] != epoch]
        self.rows += [[epoch, text] for text in texts]
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.log_table(["epoch", "sample"], self.rows, "tables/samples.json")

    def latest(self) -> list[str]:
        """Returns the samples of the last epoch."""
        return [text for epoch, text in self.rows if epoch == self.rows[-1][0]]


class TokenTables(TokenLosses):
    """Logs the worst sentences and the loss by word frequency of a language model's test."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the tables and the figure."""
        tracker, taken = trainer.logger, self._take()
        if taken is None or not isinstance(tracker, RunTracker) or not tracker.is_active:
            return
        nll, targets = taken
        vocabulary = pl_module.vocabulary
        if not isinstance(vocabulary, Vocabulary) or not torch.isfinite(nll).all():
            return
        unit = trainer.datamodule.state_dict().get("unit", "word")  # type: ignore[attr-defined]
        rows = worst_sentences(nll, targets, vocabulary, unit)
        columns = ["sentence", "nll per token", "tokens", "text"]
        tracker.log_table(columns, rows, "tables/worst_sentences.json")
        if vocabulary.counts is None:
            return
        groups = loss_by_frequency(nll, targets, vocabulary.counts)
        columns = ["occurrences in training", "test tokens", "nll per token"]
        tracker.log_table(columns, groups, "tables/loss_by_frequency.json")
        self.folder.mkdir(parents=True, exist_ok=True)
        picture = self.folder / "loss_by_frequency.png"
        draw_frequency_loss(groups, picture)
        tracker.log_artifact(picture, "report")


def worst_sentences(
    nll: Tensor, targets: Tensor, vocabulary: Vocabulary, unit: Unit = "word"
) -> list[list[Any]]:
    """Returns the sentences with the highest mean loss: number from 1, nll, tokens and text.

    Args:
        nll: Loss of each token of the test split in nats [tokens].
        targets: Token ids [tokens]; `<eos>` ends a sentence.
        vocabulary: Vocabulary.
        unit: "word" or "character".

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"])
        >>> targets = torch.tensor([2, 0, 3, 0])
        >>> worst_sentences(torch.tensor([1.0, 0.0, 4.0, 1.0]), targets, vocabulary)
        [[2, 2.5, 2, 'cat'], [1, 0.5, 2, 'the']]
    """
    is_end = targets == vocabulary.eos_id
    sentence = torch.cumsum(is_end, 0) - is_end.long()
    num = int(sentence[-1]) + 1
    sums = torch.zeros(num, dtype=torch.float64).index_add_(0, sentence, nll.double())
    sizes = torch.bincount(sentence, minlength=num)
    means = sums / sizes
    starts = torch.cumsum(sizes, 0) - sizes
    rows = []
    for place in torch.argsort(means, descending=True, stable=True)[:WORST].tolist():
        ids = targets[starts[place] : starts[place] + sizes[place]].tolist()
        words = vocabulary.decode([token for token in ids if token != vocabulary.eos_id])
        text = join_tokens(words, unit)
        rows.append([place + 1, round(float(means[place]), 4), int(sizes[place]), text])
    return rows


def loss_by_frequency(nll: Tensor, targets: Tensor, counts: Sequence[int]) -> list[list[Any]]:
    """Returns the mean loss of words by their frequency in training, in powers of ten.

    Args:
        nll: Loss of each token in nats [tokens].
        targets: Token ids [tokens].
        counts: Occurrences of each word in the training text.

    Example:
        >>> loss_by_frequency(torch.tensor([1.0, 3.0, 2.0]), torch.tensor([0, 1, 1]), [120, 9])
        [['1 to 9', 2, 2.5], ['100 to 999', 1, 1.0]]
    """
    powers = torch.tensor([-1 if count < 1 else int(math.log10(count)) for count in counts])
    found = powers[targets.long()]
    rows: list[list[Any]] = []
    for power in sorted(set(found.tolist())):
        chosen = nll[found == power]
        name = "0" if power < 0 else f"{10**power:,} to {10 ** (power + 1) - 1:,}"
        rows.append([name, len(chosen), round(float(chosen.double().mean()), 4)])
    return rows
