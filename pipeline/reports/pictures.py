"""Figures and tables of test reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.reports.calibration import expected_calibration_error, reliability

_MOST_TAGS = 24
_BLUE, _GREY = "#2a6f97", "#888888"


def draw_confusion(
    counts: Mapping[tuple[str, str], int],
    path: Path,
    order: Sequence[str] | None = None,
    kind: str = "tag",
    unit: str = "tokens",
) -> None:
    """Draws a confusion matrix as PNG: counts, colored by their share of the gold tag or label.

    `counts` has the number of units for each (gold, predicted); only the most frequent tags are
    drawn. Rows are in the given order; by type, with "O" last, if omitted.
    """
    tags = _most_frequent(counts)
    if order is not None:
        tags = [tag for tag in order if tag in tags]
    table = np.array([[counts.get((gold, found), 0) for found in tags] for gold in tags])
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.55 * len(tags)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(tags)), tags, rotation=60, ha="right")
    axes.set_yticks(range(len(tags)), tags)
    axes.set_xlabel(f"predicted {kind}")
    axes.set_ylabel(f"gold {kind}")
    axes.set_title(f"{unit.capitalize()} by gold and predicted {kind}")
    for row, column in zip(*np.nonzero(table), strict=True):
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row, f"{table[row, column]}", ha="center", va="center", color=color, fontsize=7
        )
    figure.colorbar(image, ax=axes, label=f"share of the gold {kind}", shrink=0.8)
    figure.savefig(path, dpi=110)


def _most_frequent(counts: Mapping[tuple[str, str], int]) -> list[str]:
    totals: dict[str, int] = {}
    for (gold, found), count in counts.items():
        totals[gold] = totals.get(gold, 0) + count
        totals.setdefault(found, 0)
    frequent = sorted(totals, key=lambda tag: -totals[tag])[:_MOST_TAGS]
    return sorted(frequent, key=lambda tag: (tag == "O", tag[2:], tag))


def draw_calibration(probabilities: Sequence[float], is_right: Sequence[bool], path: Path) -> None:
    """Draws a reliability diagram as PNG: accuracy against confidence in [0, 1]."""
    bins = reliability(probabilities, is_right)
    error = expected_calibration_error(probabilities, is_right)
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="perfectly calibrated")
    confidence, right, share = (list(column) for column in zip(*bins, strict=True))
    axes.plot(
        confidence, right, color=_BLUE, marker="o", clip_on=False, zorder=3, label="this model"
    )
    middles = [min(int(10 * value), 9) / 10 + 0.05 for value in confidence]  # of ten bins
    axes.bar(middles, share, width=0.09, color=_BLUE, alpha=0.25, label="share of predictions")
    for middle, part in zip(middles, share, strict=True):
        count = f"{round(part * len(probabilities)):,}"
        axes.text(middle, 0.01, count, ha="center", fontsize=8, color=_GREY)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.set_title(
        f"Confidence of {len(probabilities):,} predictions\n"
        f"(expected calibration error {error:.3f})"
    )
    figure.legend(loc="outside lower center", frameon=False, ncols=3, fontsize=9)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def draw_frequency_loss(rows: Sequence[Sequence[Any]], path: Path) -> None:
    """Draws the mean loss by frequency in the training text as PNG.

    Rows are the name of a range of frequencies, the number of test tokens, and nats per token.
    """
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    names, counts, losses = zip(*rows, strict=True)
    bars = axes.bar(range(len(names)), losses, color=_BLUE)
    axes.bar_label(bars, [f"{count:,}" for count in counts], color=_GREY, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=20)
    axes.set_xlabel("occurrences of the word in the training text")
    axes.set_ylabel("nats per token")
    axes.set_title("Loss by word frequency (with numbers of test tokens)")
    figure.savefig(path, dpi=110)


def score_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Formats precision, recall, F1 and the numbers of gold and predicted units of each row."""
    width = max(len(title), *map(len, rows)) if rows else len(title)
    lines = [f"{title:<{width}}  precision  recall      F1     gold  predicted\n"]
    lines += [
        f"{name:<{width}}  {row['precision']:>9.4f}  {row['recall']:.4f}  {row['f1']:.4f}"
        f"  {row['gold']:>7,}  {row['predicted']:>9,}\n"
        for name, row in rows.items()
    ]
    return "".join(lines)


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes files (name -> content) into a folder, which is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
