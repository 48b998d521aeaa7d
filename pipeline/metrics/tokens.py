"""Scores of token labels that encode no spans, such as parts of speech."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from pipeline.transfers import to_device


class TokenScores(Metric):
    """Accuracy and macro F1 over the tokens of a corpus.

    Args:
        labels: Labels that can be predicted. Other gold labels count as missed.
        sync_on_compute: Whether `compute` adds the sums of all processes.

    Attributes:
        counts: Number of correct, predicted and gold tokens of each label and, last, of all other
            labels, int64 [3 label+1].

    Example:
        >>> metric = TokenScores(["DT", "NN"])
        >>> metric.update(gold=[["DT", "NN", "NN"]], predicted=[["DT", "NN", "DT"]])
        >>> round(metric.compute()["accuracy"].item(), 4)
        0.6667
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    counts: Tensor
    sentences: Tensor

    def __init__(self, labels: Sequence[str], sync_on_compute: bool = True) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        self._places = {label: index for index, label in enumerate(labels)}
        empty = torch.zeros(3, len(labels) + 1, dtype=torch.int64)
        self.add_state("counts", empty, dist_reduce_fx="sum")
        self.add_state("sentences", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
        """Adds the gold and predicted labels of sentences."""
        other = len(self._places)
        counts = [[0] * (other + 1) for _ in range(3)]  # lists are faster than tensors here
        for true, found in zip(gold, predicted, strict=True):
            for label, guess in zip(true, found, strict=True):
                place = self._places.get(label, other)
                counts[0][place] += label == guess
                counts[1][self._places.get(guess, other)] += 1
                counts[2][place] += 1
        self.counts += to_device(torch.tensor(counts), self.counts.device)
        self.sentences += len(gold)

    def compute(self) -> dict[str, Tensor]:
        """Returns `accuracy`, `macro_f1`, `tokens` and `sentences`.

        As in scikit-learn, `macro_f1` is the mean F1 of the labels that are gold or predicted at
        least once; labels that are not in the label set count as one. Without tokens it is 0.
        """
        correct, predicted, gold = self.counts.double()
        total = gold.sum()
        occurring = predicted + gold > 0
        f1 = 2 * correct[occurring] / (predicted + gold)[occurring]
        return {
            "accuracy": correct.sum() / total.clamp(min=1),
            "macro_f1": f1.mean() if occurring.any() else total.new_zeros(()),
            "tokens": total,
            "sentences": self.sentences.double(),
        }
