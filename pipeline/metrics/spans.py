"""Precision, recall and F1 of spans: exact, proportional and binary, as sums over a corpus."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from pipeline.text.tags import Span, count_malformed, spans, strict_spans

OTHER = "\tother"
"""Stands for the types that the tag set lacks: their gold spans count as missed. A TAB, since no
file can spell it."""
_RESERVED = ("strict", "proportional", "binary", "other")  # names of scores that are of no type

_Reader = Callable[[Sequence[str]], list[Span]]
_READINGS: dict[str, _Reader] = {"": spans, "_strict": strict_spans}


class SpanScores(Metric):
    """Scores of predicted spans, which seqeval itself reads from the tags.

    Exact scores count a span as right if its type and both ends are: leniently as conlleval reads
    tags (an I that continues nothing begins a span), and strictly (only a B begins one).
    Overlap scores are those of Irsoy and Cardie (2014, "Opinion Mining with Deep Recurrent Neural
    Networks", EMNLP, section 5.1): a predicted span counts by the share of it that lies in gold
    spans of its type ("proportional"), or as one if any of it does ("binary"), and in recall gold
    spans likewise. Each type is counted for itself, and all counts are summed, on all processes,
    before anything is divided; 0 / 0 is 0.

    Args:
        types: types of the tag set.
        sync_on_compute: whether `compute` adds the sums of all processes.

    Attributes:
        correct, predicted, gold: spans [reading type], int64; readings are lenient and strict.
        covered, touched: what spans count in precision and in recall, [side type], float64 and
            int64.
        tokens: tokens, those whose tag is right, predicted and gold tags that are malformed, and
            sentences, int64 [5].
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
        """Adds sentences.

        Args:
            gold: BIO tags of each sentence.
            predicted: as many.

        Raises:
            ValueError: a sentence has more tags on one side than on the other.
        """
        counts = _Counts.zeros(len(self.types))  # a tensor would cost more than the sentence
        for true, found in zip(gold, predicted, strict=True):
            if len(true) != len(found):
                raise ValueError(
                    f"a sentence has {len(true)} gold tags, got {len(found)} predicted"
                )
            self._add(counts, true, found)
        for name, numbers in counts._asdict().items():
            state: Tensor = getattr(self, name)
            # Not in place: `module.to(torch.bfloat16)` turns empty sums into bfloat16 as well.
            dtype = torch.float64 if name == "covered" else torch.int64
            new = torch.tensor(numbers, dtype=dtype, device=state.device)
            setattr(self, name, state + new)

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
        """Gives all scores by name, float64 [].

        `precision`, `recall` and `f1` are micro averages of the lenient reading; `_strict`,
        `_proportional` and `_binary` follow their names, and where there are several types so does
        each type. `malformed` counts predicted tags I that continue nothing.
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
    """Gives a type's name in scores: `type_strict` where `strict` is a score already."""
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
        """Gives empty sums."""
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
