"""Scores of one label a text."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from pipeline.metrics.names import score_names

_BINS = 10  # of confidence, as in the reports
LOWER_IS_BETTER = frozenset({"calibration_error", "distance"})


class LabelScores(Metric):
    """Accuracy, F1 of each label, confusions and calibration: counts over a corpus, divided once.

    The expected calibration error is the mean of |accuracy - confidence| over 10 equal bins of
    confidence, weighted by the texts in them (Guo et al. 2017,
    arXiv 1706.04599, equation 3).

    Args:
        labels: those that can be predicted, in their order; other gold labels count as missed.
        is_ordinal: whether the labels have an order, so that `distance` says something.
        sync_on_compute: whether `compute` adds the sums of all processes.

    Attributes:
        confusion: texts by gold label (others last) and predicted label, int64 [label+1 label].
        bins: texts, those that are right, and the sum of confidences in each bin, float64 [3 bin].
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    confusion: Tensor
    bins: Tensor

    def __init__(
        self, labels: Sequence[str], is_ordinal: bool = False, sync_on_compute: bool = True
    ) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        self._num_labels, self._is_ordinal = len(labels), is_ordinal
        self._f1_names = [f"f1_{name}" for name in score_names(labels)]
        empty = torch.zeros(len(labels) + 1, len(labels), dtype=torch.int64)
        self.add_state("confusion", empty, dist_reduce_fx="sum")
        self.add_state("bins", torch.zeros(3, _BINS, dtype=torch.float64), dist_reduce_fx="sum")

    @property
    def names(self) -> set[str]:
        """What `compute` gives."""
        always = {"accuracy", "macro_f1", "calibration_error", "texts", *self._f1_names}
        return always | ({"distance"} if self._is_ordinal else set())

    def update(self, gold: Tensor, probabilities: Tensor) -> None:
        """Adds texts.

        Args:
            gold: label ids, int64 [batch]; any negative one is of no label that can be predicted.
            probabilities: of the labels, [batch label].
        """
        count = self._num_labels
        confidence, predicted = probabilities.double().max(dim=-1)
        rows = torch.where(gold < 0, count, gold)
        self.confusion += torch.bincount(
            rows * count + predicted, minlength=(count + 1) * count
        ).view(count + 1, count)
        bins = (confidence * _BINS).long().clamp(max=_BINS - 1)
        columns = torch.stack(
            (torch.ones_like(confidence), (gold == predicted).double(), confidence)
        )
        self.bins.index_add_(1, bins, columns)

    def compute(self) -> dict[str, Tensor]:
        """Gives the scores.

        Returns:
            `accuracy`, `macro_f1` (over labels that occur), `f1_<label>` (as `score_names` calls
            it), `calibration_error`, `texts`; where labels are ordinal `distance`, the mean of the
            places that a prediction is off, over texts whose label is known.
        """
        counts = self.confusion.double()
        known = counts[:-1]
        correct, gold, predicted = known.diagonal(), known.sum(1), counts.sum(0)
        total = counts.sum()
        f1 = 2 * correct / (gold + predicted).clamp(min=1)
        occurs = gold > 0
        scores = {
            "accuracy": correct.sum() / total.clamp(min=1),
            "macro_f1": f1[occurs].mean() if occurs.any() else f1.new_zeros(()),
            "calibration_error": (self.bins[1] - self.bins[2]).abs().sum() / total.clamp(min=1),
            "texts": total,
        }
        if self._is_ordinal:
            places = torch.arange(len(known), device=known.device)
            off = (places.unsqueeze(0) - places.unsqueeze(1)).abs()
            scores["distance"] = (known * off).sum() / known.sum().clamp(min=1)
        return scores | {name: f1[i] for i, name in enumerate(self._f1_names)}
