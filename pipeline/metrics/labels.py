"""Scores of text classification, where each text has one label."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torchmetrics import Metric

from pipeline.transfers import on_host, to_device

_NUM_BINS = 10  # bins of confidence, as in the reports
_MAX_NAME_LENGTH = 100
LOWER_IS_BETTER = frozenset({"calibration_error", "distance"})
"""Scores of `LabelScores` that are better if they are lower."""
_LOWER = ("perplexity", "nll", "loss", "bpc", "parameters", *LOWER_IS_BETTER)


def is_better_if_lower(score: str) -> bool:
    """Returns whether a metric of any task, or a size, is better if it is lower.

    Example:
        >>> is_better_if_lower("test/calibration_error"), is_better_if_lower("best/val_accuracy")
        (True, False)
    """
    return score.rpartition("/")[2].removeprefix("val_").startswith(_LOWER)


class LabelScores(Metric):
    """Accuracy, F1 of each label, confusion matrix and calibration error over a corpus.

    The expected calibration error is the mean absolute difference between accuracy and confidence
    over 10 equal bins of confidence, weighted by the number of texts in each (Guo et al. 2017,
    arXiv 1706.04599, equation 3).

    Args:
        labels: Labels that can be predicted, in their order. Other gold labels count as missed.
        is_ordinal: Whether the labels have an order, so that `distance` is computed.
        sync_on_compute: Whether `compute` adds the sums of all processes.

    Attributes:
        confusion: Number of texts by gold label (others last) and predicted label, int64
            [label+1 label].
        bins: Number of texts, number of correct texts, and sum of confidences in each bin, float64
            [3 bin].

    Example:
        >>> metric = LabelScores(["negative", "positive"])
        >>> metric.update(torch.tensor([0, 1]), torch.tensor([[0.9, 0.1], [0.6, 0.4]]))
        >>> scores = metric.compute()
        >>> round(scores["accuracy"].item(), 4), round(scores["f1_negative"].item(), 4)
        (0.5, 0.6667)
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
        self.add_state("bins", torch.zeros(3, _NUM_BINS, dtype=torch.float64), dist_reduce_fx="sum")

    @property
    def names(self) -> set[str]:
        """Names of the scores that `compute` returns."""
        always = {"accuracy", "macro_f1", "calibration_error", "texts", *self._f1_names}
        return always | ({"distance"} if self._is_ordinal else set())

    def update(self, gold: Tensor, probabilities: Tensor) -> None:
        """Adds texts.

        `gold` contains label ids, int64 [batch], negative for labels that cannot be predicted, and
        `probabilities` those of the labels [batch label]. Tensors on a device are copied to the
        host, which waits for them once.
        """
        gold, probabilities = on_host(gold, probabilities)
        count = self._num_labels
        confidence, predicted = probabilities.double().max(dim=-1)
        rows = torch.where(gold < 0, count, gold)
        pairs = torch.bincount(rows * count + predicted, minlength=(count + 1) * count)
        self.confusion += to_device(pairs.view(count + 1, count), self.confusion.device)
        bins = (confidence * _NUM_BINS).long().clamp(max=_NUM_BINS - 1)
        columns = torch.stack(
            (torch.ones_like(confidence), (gold == predicted).double(), confidence)
        )
        device = self.bins.device
        self.bins.index_add_(1, to_device(bins, device), to_device(columns, device))

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores by name.

        These are `accuracy`, `macro_f1`, `f1_<label>` (named by `score_names`), `calibration_error`
        and `texts`. For ordinal labels also `distance`, the mean number of positions between
        predicted and gold label, over texts with a known label.

        As in scikit-learn, `macro_f1` is the mean F1 of the labels that are gold or predicted at
        least once; gold labels that cannot be predicted count as one label, whose F1 is 0. The F1
        of a label that is neither gold nor predicted is 0. Without texts all scores are 0.
        """
        counts = self.confusion.double()
        known = counts[:-1]
        # The last entry is that of all labels that cannot be predicted.
        correct, predicted = (F.pad(part, (0, 1)) for part in (known.diagonal(), counts.sum(0)))
        gold, total = counts.sum(1), counts.sum()
        f1 = 2 * correct / (gold + predicted).clamp(min=1)
        occurs = gold + predicted > 0
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


def score_names(labels: Iterable[str]) -> list[str]:
    """Returns a distinct name for each label, of letters, digits and the characters _ . and -.

    MLflow allows few other characters. Labels that are valid names are not changed. Other
    characters become "_", or their Unicode names where labels could otherwise not be distinguished.

    Example:
        >>> score_names(["good", "very good", ":)", ":("])
        ['good', 'very_good', 'colon_right_parenthesis', 'colon_left_parenthesis']
    """
    labels = list(labels)
    taken = {label for label in labels if _cleaned(label) == label}
    stems = Counter(map(_cleaned, labels))
    names = []
    for label in labels:
        name = stem = _cleaned(label)
        if name != label and (stems[stem] > 1 or not re.search(r"[^\W_]", stem)):
            name = stem = _spelled(label)
        number = 2
        while name != label and name in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _spelled(label: str) -> str:
    """Replaces characters that MLflow does not allow by their Unicode names."""
    parts = [
        part if re.match(r"[\w.-]", part) else unicodedata.name(part, f"u{ord(part):04x}").lower()
        for part in re.findall(r"[\w.-]+|[^\w.-]", label)
    ]
    return _cleaned("_".join(parts))


def _cleaned(label: str) -> str:
    return re.sub(r"[^\w.-]+", "_", label)[:_MAX_NAME_LENGTH] or "_"
