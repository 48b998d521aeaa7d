"""The test report of a text classifier."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.metrics.items import FILE, ItemScores, digest_of
from pipeline.reports.calibration import expected_calibration_error
from pipeline.reports.pictures import draw_calibration, draw_confusion, score_table, write_texts

_WORST = 50
_WIDTH = 400  # maximum number of characters of a text to print


class LabelReport:
    """The test report of a text classifier: scores per label, confusions and calibration.

    Args:
        texts: Tokens of each text.
        gold: Gold label of each text.
        probabilities: Probabilities of all labels, for each text.
        labels: Labels that can be predicted, in the order of `probabilities`.

    Example:
        >>> texts, rows = [["great"], ["dull"]], [[0.2, 0.8], [0.4, 0.6]]
        >>> report = LabelReport(texts, ["positive", "negative"], rows, ["negative", "positive"])
        >>> report.numbers()["accuracy"]
        0.5
    """

    def __init__(
        self,
        texts: Sequence[Sequence[str]],
        gold: Sequence[str],
        probabilities: Sequence[Sequence[float]],
        labels: Sequence[str],
    ) -> None:
        self._texts, self._gold, self._labels = texts, gold, labels
        self._probabilities = probabilities
        best = [max(range(len(labels)), key=row.__getitem__) for row in probabilities]
        self._predicted = [labels[place] for place in best]
        self._confidences = [row[place] for row, place in zip(probabilities, best, strict=True)]
        self._is_right = [a == b for a, b in zip(gold, self._predicted, strict=True)]

    def write(self, folder: Path) -> list[Path]:
        """Writes the report into a folder, which is created if missing, and returns the files.

        They are `errors.txt` (text), `report.json` (`numbers`), `items.json` (`items`),
        `confusion.png` and `calibration.png`.
        """
        texts = {
            "errors.txt": self.errors(),
            "report.json": json.dumps(self.numbers(), indent=1, ensure_ascii=False) + "\n",
            FILE: self.items().to_json(),
        }
        files = write_texts(folder, texts)
        if self._gold:
            rows = (*self._labels, *sorted({*self._gold} - {*self._labels}))
            path = folder / "confusion.png"
            draw_confusion(self._confusion(), path, order=rows, kind="label", unit="texts")
            draw_calibration(self._confidences, self._is_right, folder / "calibration.png")
            files += [path, folder / "calibration.png"]
        return files

    def numbers(self) -> dict[str, Any]:
        """Returns all scores and counts as plain data."""
        gold, found = Counter(self._gold), Counter(self._predicted)
        right = Counter(
            label for label, good in zip(self._gold, self._is_right, strict=True) if good
        )
        names = (*self._labels, *sorted(gold.keys() - {*self._labels}))
        return {
            "accuracy": sum(self._is_right) / max(len(self._is_right), 1),
            "labels": {
                name: {
                    "precision": right[name] / found[name] if found[name] else 0.0,
                    "recall": right[name] / gold[name] if gold[name] else 0.0,
                    "f1": 2 * right[name] / max(gold[name] + found[name], 1),
                    "gold": gold[name],
                    "predicted": found[name],
                }
                for name in names
            },
            "confusion": [[*pair, count] for pair, count in sorted(self._confusion().items())],
            "calibration_error": expected_calibration_error(self._confidences, self._is_right),
        }

    def items(self) -> ItemScores:
        """Returns whether each text has the right label, as 1 or 0, and 1 for each text."""
        rows = zip(self._texts, self._gold, strict=True)
        digest = digest_of("\n".join((*tokens, "", label)) for tokens, label in rows)
        right = np.array(self._is_right, dtype=np.float64)
        return ItemScores("accuracy", digest, np.stack([right, np.ones_like(right)]))

    def errors(self) -> str:
        """Formats the report as text."""
        numbers = self.numbers()
        return (
            f"Accuracy {numbers['accuracy']:.4f} of {len(self._gold):,} texts; expected "
            f"calibration error {numbers['calibration_error']:.3f} (10 bins; 0 is perfect)\n\n"
            f"{score_table('Label', numbers['labels'])}\n{self._worst()}"
        )

    def tables(self) -> dict[str, tuple[list[str], list[list[Any]]]]:
        """Returns columns and rows of tables by name: texts of highest loss, and confusions."""
        gold = [max(self._of(row), 1e-12) for row in range(len(self._gold))]
        worst = sorted(range(len(gold)), key=lambda row: (gold[row], row))[:_WORST]
        rows = [
            [
                row + 1,
                round(-math.log(gold[row]), 4),
                self._gold[row],
                self._predicted[row],
                " ".join(self._texts[row])[:_WIDTH],
            ]
            for row in worst
        ]
        confusions = [[*pair, count] for pair, count in sorted(self._confusion().items())]
        return {
            "worst_texts": (["text", "nll", "gold", "predicted", "words"], rows),
            "confusion": (["gold", "predicted", "texts"], confusions),
        }

    def examples(self) -> list[str]:
        """Returns the first three texts with the labels predicted and their probabilities."""
        found = zip(self._predicted[:3], self._confidences[:3], self._texts[:3], strict=True)
        return [f"{name} {share:.2f}  {' '.join(text)[:_WIDTH]}" for name, share, text in found]

    def _of(self, row: int) -> float:
        """Returns the probability of the gold label of a text; 0 if it cannot be predicted."""
        name = self._gold[row]
        return self._probabilities[row][self._labels.index(name)] if name in self._labels else 0.0

    def _confusion(self) -> Counter[tuple[str, str]]:
        return Counter(zip(self._gold, self._predicted, strict=True))

    def _worst(self) -> str:
        wrong = [row for row, good in enumerate(self._is_right) if not good]
        lines = [f"Most confident errors ({min(len(wrong), _WORST)} of {len(wrong):,})\n"]
        for row in sorted(wrong, key=lambda row: (-self._confidences[row], row))[:_WORST]:
            text = " ".join(self._texts[row])
            shown = text if len(text) <= _WIDTH else f"{text[:_WIDTH]} ..."
            lines.append(
                f"  {self._confidences[row]:.3f}  {self._gold[row]} -> {self._predicted[row]}"
                f"  (text {row + 1})\n         {shown}\n"
            )
        return "".join(lines)
