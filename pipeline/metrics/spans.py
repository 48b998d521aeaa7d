"""Precision, recall and F1 of spans over a corpus: exact, proportional and binary."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from pipeline.text.tags import Span, count_malformed, spans, strict_spans
from pipeline.transfers import to_device

OTHER = "\tother"
"""Replaces types outside the tag set, whose gold spans count as missed. It has a TAB, which cannot
occur in a type of a file."""
_RESERVED = ("strict", "proportional", "binary", "other")  # suffixes that do not name a type

_Reader = Callable[[Sequence[str]], list[Span]]
_READINGS: dict[str, _Reader] = {"": spans, "_strict": strict_spans}


class SpanScores(Metric):
    """Precision, recall and F1 of predicted spans, which `seqeval` reads from the tags.

    Exact scores count a span as correct if its type and both ends are correct. The lenient reading
    is that of conlleval (an I that does not continue a span begins one), in the strict reading only
    a B begins a span. Overlap scores are those of Irsoy and Cardie (2014, "Opinion Mining with Deep
    Recurrent Neural Networks", EMNLP, section 5.1). In precision, a predicted span counts as the
    fraction of it that lies in gold spans of its type ("proportional"), or as 1 if any token does
    ("binary"). Recall treats gold spans in the same way. Types are counted separately. All counts
    are summed over all processes before any division; 0 / 0 is 0.

    Args:
        types: Span types of the tag set.
        sync_on_compute: Whether `compute` adds the sums of all processes.

    Attributes:
        correct, predicted, gold: Number of spans, int64 [reading type]; readings are lenient and
            strict.
        covered, touched: Proportional and binary counts in precision and recall [side type],
            float64 and int64.
        tokens: Number of tokens, of correct tags, of malformed predicted tags, of malformed gold
            tags, and of sentences, int64 [5].

    Example:
        >>> metric = SpanScores(["PER"])
        >>> metric.update([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]])
        >>> scores = metric.compute()
        >>> scores["f1"].item(), scores["recall_proportional"].item(), scores["f1_binary"].item()
        (0.0, 0.5, 1.0)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    correct: Tensor
    predicted: Tensor
    gold: Tensor
    covered: Tensor
    touched: Tensor
    tokens: Tensor

    def __init__(self, types: Sequence[str], sync_on_compute: bool = True) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        self.types = (*types, OTHER)
        self._places = {label: index for index, label in enumerate(self.types)}
        counts = torch.zeros(2, len(self.types), dtype=torch.int64)
        for name in ("correct", "predicted", "gold", "touched"):
            self.add_state(name, counts.clone(), dist_reduce_fx="sum")
        self.add_state("covered", counts.double(), dist_reduce_fx="sum")
        self.add_state("tokens", torch.zeros(5, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
        """Adds the BIO tags of sentences; raises a `ValueError` if the numbers of tags differ."""
        counts = _Counts.zeros(len(self.types))  # lists are faster than tensors here
        for true, found in zip(gold, predicted, strict=True):
            if len(true) != len(found):
                raise ValueError(
                    f"a sentence has {len(true)} gold tags, but {len(found)} predicted tags"
                )
            self._add(counts, true, found)
        for name, numbers in counts._asdict().items():
            state: Tensor = getattr(self, name)
            # Not in place, because `module.to(torch.bfloat16)` also casts empty sums to bfloat16.
            dtype = torch.float64 if name == "covered" else torch.int64
            new = torch.tensor(numbers, dtype=dtype)
            setattr(self, name, state + to_device(new, state.device))

    def _add(self, counts: "_Counts", true: Sequence[str], found: Sequence[str]) -> None:
        right = sum(a == b for a, b in zip(true, found, strict=True))
        for index, number in enumerate(
            (len(true), right, count_malformed(found), count_malformed(true), 1)
        ):
            counts.tokens[index] += number
        for reading, read in enumerate(_READINGS.values()):
            gold, predicted = read(true), read(found)
            for row, chosen in (
                (counts.gold[reading], gold),
                (counts.predicted[reading], predicted),
                (counts.correct[reading], set(gold) & set(predicted)),
            ):
                for span in chosen:
                    row[self._place(span.label)] += 1
        for side, (ours, theirs) in enumerate(
            ((spans(found), spans(true)), (spans(true), spans(found)))
        ):
            for span in ours:
                shared = sum(_overlap(span, other) for other in theirs)
                counts.covered[side][self._place(span.label)] += shared / (span.end - span.start)
                counts.touched[side][self._place(span.label)] += shared > 0

    def _place(self, label: str) -> int:
        return self._places.get(label, len(self.types) - 1)

    def compute(self) -> dict[str, Tensor]:
        """Returns all scores by name, float64 [].

        `precision`, `recall` and `f1` are micro averages of the lenient reading. The suffixes
        `_strict`, `_proportional` and `_binary` name the other readings, and `_<type>` each type if
        there are several. `malformed` is the number of predicted I tags that do not continue
        a span.
        """
        scores: dict[str, Tensor] = {}
        for reading, suffix in enumerate(_READINGS):
            parts = (self.correct[reading], self.predicted[reading], self.gold[reading])
            right = parts[0].sum()
            scores |= _scores(suffix, right, right, parts[1].sum(), parts[2].sum())
        for suffix, right in (("_proportional", self.covered), ("_binary", self.touched)):
            scores |= _scores(
                suffix, right[0].sum(), right[1].sum(), self.predicted[0].sum(), self.gold[0].sum()
            )
        scores |= self._by_type() if len(self.types) > 2 else {}
        total, right, malformed, malformed_gold, sentences = self.tokens.double()
        return scores | {
            "accuracy": _ratio(right, total),
            "malformed": malformed,
            "malformed_gold": malformed_gold,
            "sentences": sentences,
            "tokens": total,
        }

    def _by_type(self) -> dict[str, Tensor]:
        scores: dict[str, Tensor] = {}
        for place, label in enumerate(self.types):
            correct, predicted, gold = (
                part[0, place] for part in (self.correct, self.predicted, self.gold)
            )
            if label != OTHER or gold:
                scores |= _scores(f"_{_name(label)}", correct, correct, predicted, gold)
        return scores


def _name(label: str) -> str:
    """Returns a type's name in scores, such as `type_strict` if `strict` is another score."""
    if label == OTHER:
        return "other"
    return f"type_{label}" if label in _RESERVED else label


class _Counts(NamedTuple):
    """The states of `SpanScores`, as lists."""

    correct: list[list[int]]
    predicted: list[list[int]]
    gold: list[list[int]]
    touched: list[list[int]]
    covered: list[list[float]]
    tokens: list[int]

    @classmethod
    def zeros(cls, num_types: int) -> "_Counts":
        """Returns empty sums."""
        correct, predicted, gold, touched = ([[0] * num_types for _ in "ab"] for _ in range(4))
        covered = [[0.0] * num_types for _ in "ab"]
        return cls(correct, predicted, gold, touched, covered, [0] * 5)


def _overlap(one: Span, other: Span) -> int:
    if one.label != other.label:
        return 0
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def _scores(
    suffix: str, precise: Tensor, recalled: Tensor, predicted: Tensor, gold: Tensor
) -> dict[str, Tensor]:
    precision, recall = _ratio(precise, predicted), _ratio(recalled, gold)
    f1 = _ratio(2 * precision * recall, precision + recall)
    return {f"precision{suffix}": precision, f"recall{suffix}": recall, f"f1{suffix}": f1}


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return part.double() / whole.double() if whole else torch.zeros_like(whole, dtype=torch.float64)
