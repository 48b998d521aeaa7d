"""The test report of a tagger."""

import contextlib
import io
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from seqeval.metrics.sequence_labeling import classification_report
from seqeval.scheme import IOB2

from pipeline.metrics.items import FILE, ItemScores, digest_of
from pipeline.reports.calibration import expected_calibration_error
from pipeline.reports.pictures import draw_calibration, draw_confusion, score_table, write_texts
from pipeline.text.tags import Span, are_labels, spans

_WORST = 50
_LENGTHS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 10**9))


class TaggingReport:
    """The test report of a tagger: scores by type and length, kinds of errors and calibration.

    Args:
        tokens: Tokens of each sentence.
        gold: Gold tags of each sentence.
        predicted: Predicted tags of each sentence.
        confidences: Confidence in [0, 1] of each predicted span (or token, if tags are plain
            labels), for each sentence.
        nll: Loss of the gold tags of each sentence, in nats per token; it orders the worst ones.

    Example:
        >>> gold, predicted = [["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]]
        >>> report = TaggingReport([["Ann", "Lee", "ran"]], gold, predicted, [[0.9]], [0.7])
        >>> report.numbers()["kinds"]["wrong boundary"]
        1
    """

    def __init__(
        self,
        tokens: Sequence[Sequence[str]],
        gold: Sequence[Sequence[str]],
        predicted: Sequence[Sequence[str]],
        confidences: Sequence[Sequence[float]],
        nll: Sequence[float],
    ) -> None:
        self._tokens, self._gold, self._predicted, self._nll = tokens, gold, predicted, nll
        rows = [*gold, *predicted]
        self._has_spans = not are_labels({tag for row in rows for tag in row})
        self._pairs = [
            (_units(true, self._has_spans), _units(found, self._has_spans))
            for true, found in zip(gold, predicted, strict=True)
        ]
        self._probabilities = [value for row in confidences for value in row]
        self._is_right = [
            span in units for true, found in self._pairs for units in (set(true),) for span in found
        ]

    def write(self, folder: Path) -> list[Path]:
        """Writes the report into a folder, which is created if missing, and returns the files.

        They are `errors.txt` (text), `report.json` (`numbers`), `items.json` (`items`),
        `seqeval.txt`, `confusion.png` and `calibration.png`.
        """
        texts = {
            "errors.txt": self.errors(),
            "report.json": json.dumps(self.numbers(), indent=1) + "\n",
            FILE: self.items().to_json(),
        }
        if self._has_spans:
            texts["seqeval.txt"] = self._seqeval()
        files = write_texts(folder, texts)
        if self._gold:
            draw_confusion(self._confusion(), folder / "confusion.png")
            files.append(folder / "confusion.png")
        if len(self._probabilities) == len(self._is_right) > 0:
            draw_calibration(self._probabilities, self._is_right, folder / "calibration.png")
            files.append(folder / "calibration.png")
        return files

    def numbers(self) -> dict[str, Any]:
        """Returns all scores and counts as plain data."""
        return {
            "types": self._by(lambda span: span.label),
            "lengths": {name.strip(): row for name, row in self._by(_length_class).items()},
            "kinds": dict(self._kinds()),
            "confusion": [[*pair, count] for pair, count in sorted(self._confusion().items())],
            "calibration_error": expected_calibration_error(self._probabilities, self._is_right),
        }

    def items(self) -> ItemScores:
        """Returns the numbers of right, predicted and gold spans of each sentence."""
        counts = [(len({*true} & {*found}), len(found), len(true)) for true, found in self._pairs]
        rows = zip(self._tokens, self._gold, strict=True)
        digest = digest_of("\n".join((*tokens, "", *tags)) for tokens, tags in rows)
        values = np.array(counts, dtype=np.float64).reshape(-1, 3)
        if self._has_spans:
            return ItemScores("f1", digest, values.T)
        return ItemScores("accuracy", digest, values[:, [0, 2]].T)

    def errors(self) -> str:
        """Formats the report as text."""
        numbers = self.numbers()
        parts = [
            score_table("By type", numbers["types"]),
            score_table("By length in tokens", numbers["lengths"]),
            "Kinds\n" + "".join(f"  {n:>7,}  {kind}\n" for kind, n in numbers["kinds"].items()),
            _confusion_table(self._confusion()),
            f"Confidence of predictions: expected calibration error "
            f"{numbers['calibration_error']:.3f} (10 bins; 0 is perfect)\n",
            self._worst(),
        ]
        return "\n".join(parts)

    def tables(self) -> dict[str, tuple[list[str], list[list[Any]]]]:
        """Returns columns and rows of tables by name: sentences of highest loss, and confusions."""
        rows = [
            [
                row + 1,
                round(self._nll[row], 4),
                self._differences(row),
                _marked(self._tokens[row], self._pairs[row][0]),
                _marked(self._tokens[row], self._pairs[row][1]),
            ]
            for row in self._by_loss(range(len(self._pairs)))[:_WORST]
        ]
        confusions = [[*pair, count] for pair, count in sorted(self._confusion().items())]
        return {
            "worst_sentences": (
                ["sentence", "nll per token", "differences", "gold", "predicted"],
                rows,
            ),
            "confusion": (["gold", "predicted", "tokens"], confusions),
        }

    def examples(self) -> list[str]:
        """Returns the first three sentences with the spans predicted."""
        rows = zip(self._tokens[:3], self._pairs[:3], strict=True)
        return [_marked(tokens, found) for tokens, (_, found) in rows]

    def _by(self, key: Any) -> dict[str, dict[str, float]]:  # noqa: ANN401 (Span -> str)
        gold = Counter(key(span) for true, _ in self._pairs for span in true)
        found = Counter(key(span) for _, predicted in self._pairs for span in predicted)
        right = Counter(key(span) for true, guess in self._pairs for span in set(true) & set(guess))
        return {
            name: _scores(right[name], found[name], gold[name]) for name in sorted({*gold, *found})
        }

    def _kinds(self) -> dict[str, int]:
        counts = dict.fromkeys(("right", "wrong boundary", "wrong type", "spurious", "missed"), 0)
        for true, found in self._pairs:
            units = set(true)
            for span in found:
                counts["right" if span in units else _kind(span, true)] += 1
            counts["missed"] += sum(not any(_touch(s, other) for other in found) for s in true)
        return counts

    def _confusion(self) -> Counter[tuple[str, str]]:
        return Counter(
            pair
            for true, found in zip(self._gold, self._predicted, strict=True)
            for pair in zip(true, found, strict=True)
        )

    def _seqeval(self) -> str:
        gold, predicted = ([list(row) for row in rows] for rows in (self._gold, self._predicted))
        if not any(true or found for true, found in self._pairs):  # seqeval fails without spans
            return "neither the gold nor the predicted tags contain a span\n"
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # about types that are never predicted
            lenient = classification_report(  # type: ignore[no-untyped-call]
                gold, predicted, digits=4, zero_division=0
            )
            text = f"lenient (conlleval: an I tag that continues no span starts one)\n{lenient}"
            if any(tag.startswith("B-") for row in gold for tag in row):
                strict = classification_report(  # type: ignore[no-untyped-call]
                    gold, predicted, digits=4, mode="strict", scheme=IOB2, zero_division=0
                )
                text += f"\nstrict (IOB2: only a B tag starts a span)\n{strict}"
        return text

    def _differences(self, row: int) -> int:
        """Returns the number of spans that are gold or predicted, but not both."""
        true, found = self._pairs[row]
        return len(set(true) ^ set(found))

    def _by_loss(self, rows: Iterable[int]) -> list[int]:
        return sorted(rows, key=lambda row: (-self._nll[row], row))

    def _worst(self) -> str:
        wrong = self._by_loss(row for row in range(len(self._pairs)) if self._differences(row))
        lines = [f"Worst sentences ({min(len(wrong), _WORST)} of {len(wrong):,} with an error)\n"]
        for row in wrong[:_WORST]:
            true, found = self._pairs[row]
            lines.append(
                f"  sentence {row + 1}, {self._nll[row]:.3f} nats per token, "
                f"{self._differences(row)} differences\n"
                f"    gold       {_marked(self._tokens[row], true)}\n"
                f"    predicted  {_marked(self._tokens[row], found)}\n"
            )
        return "".join(lines)


def _units(tags: Sequence[str], has_spans: bool) -> list[Span]:
    if has_spans:
        return spans(tags)
    return [Span(tag, index, index + 1) for index, tag in enumerate(tags)]


def _length_class(span: Span) -> str:
    length = span.end - span.start
    low, high = next((low, high) for low, high in _LENGTHS if low <= length <= high)
    if low == high:
        return f"{low:>2}"
    return f"{low:>2} or more" if high > 10**8 else f"{low:>2} to {high}"


def _touch(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _kind(span: Span, gold: Sequence[Span]) -> str:
    near = [other for other in gold if _touch(span, other)]
    if any(other.label == span.label for other in near):
        return "wrong boundary"
    return "wrong type" if near else "spurious"


def _scores(right: int, found: int, gold: int) -> dict[str, float]:
    precision, recall = right / found if found else 0.0, right / gold if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "gold": gold, "predicted": found}


def _confusion_table(counts: Counter[tuple[str, str]]) -> str:
    wrong = [(count, pair) for pair, count in counts.items() if pair[0] != pair[1]]
    most = sorted(wrong, reverse=True)[:20]
    lines = [f"  {count:>7,}  {gold} -> {found}\n" for count, (gold, found) in most]
    return "".join(["Confused tags (gold -> predicted)\n", *lines])


def _marked(tokens: Sequence[str], found: Sequence[Span]) -> str:
    starts = {span.start: span.label for span in found}
    ends = {span.end for span in found}
    words = []
    for index, token in enumerate(tokens):
        opening = f"[{starts[index]} " if index in starts else ""
        words.append(f"{opening}{token}{']' if index + 1 in ends else ''}")
    return " ".join(words)
