"""Scores of labels that stand for a token each, as parts of speech."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class TokenScores(Metric):
    """Accuracy and macro F1 over tokens: counts summed over a corpus, divided once.

    Args:
        labels: those that can be predicted; gold labels beside them count as missed.
        sync_on_compute: whether `compute` adds the sums of all processes.

    Attributes:
        counts: correct, predicted and gold tokens of each label, and of all others, int64
            [3 label].
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
        """Adds sentences.

        Args:
            gold: labels of each sentence.
            predicted: as many.
        """
        other = len(self._places)
        counts = [[0] * (other + 1) for _ in range(3)]  # a tensor would cost more than the token
        for true, found in zip(gold, predicted, strict=True):
            for label, guess in zip(true, found, strict=True):
                place = self._places.get(label, other)
                counts[0][place] += label == guess
                counts[1][self._places.get(guess, other)] += 1
                counts[2][place] += 1
        self.counts += torch.tensor(counts, device=self.counts.device)
        self.sentences += len(gold)

    def compute(self) -> dict[str, Tensor]:
        """Gives `accuracy`, `macro_f1` (over labels that occur), `tokens` and `sentences`."""
        correct, predicted, gold = self.counts.double()
        total = gold.sum()
        occurring = gold > 0
        f1 = 2 * correct[occurring] / (predicted + gold)[occurring]
        return {
            "accuracy": correct.sum() / total.clamp(min=1),
            "macro_f1": f1.mean() if occurring.any() else total.new_zeros(()),
            "tokens": total,
            "sentences": self.sentences.double(),
        }
