"""Curves and bars of runs as SVG, to be put into an HTML page."""

import io
import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from pipeline.reports.comparison.frequencies import FrequencyLoss, ordered_ranges

COLORS = ("#2a6f97", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#8d6a4f", "#17a2b8", "#555555")
"""Colors of groups, repeated if there are more."""


def draw_curves(
    title: str, curves: Mapping[str, Sequence[tuple[int, float]]], colors: Mapping[str, str]
) -> str:
    """Draws one metric of runs against the number of updates and returns an SVG element.

    A run with a single value, such as an n-gram model, is a dashed horizontal line. Values that are
    not finite are left out. The text of the picture contains no names of runs.

    Args:
        title: Name of the metric.
        curves: (step, value) pairs for each run id.
        colors: Color of each run id.
    """
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.subplots()
        for run_id, points in curves.items():
            finite = [(x, y) for x, y in points if math.isfinite(y) and abs(y) < 1e300]
            if len(finite) == 1:
                axes.axhline(finite[0][1], color=colors[run_id], linestyle="--", linewidth=1.3)
            elif finite:
                steps, values = zip(*finite, strict=True)
                axes.plot(steps, values, color=colors[run_id], linewidth=1.5, marker=".", alpha=0.9)
        axes.set_xlabel("updates", fontsize=9)
        return _svg(figure, title)


def draw_frequencies(losses: Sequence[FrequencyLoss], colors: Sequence[str]) -> str:
    """Draws the loss by word frequency of runs as groups of bars and returns an SVG element.

    Args:
        losses: Loss by word frequency of each run.
        colors: Color of each run.
    """
    names = ordered_ranges(losses)
    width = 0.8 / len(losses)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "frequencies"}):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.subplots()
        for place, (one, color) in enumerate(zip(losses, colors, strict=True)):
            values = [one.ranges.get(name, (0, math.nan))[1] for name in names]
            shift = (place + 0.5) * width - 0.4
            axes.bar([x + shift for x in range(len(names))], values, width, color=color)
        axes.set_xticks(range(len(names)), names, rotation=20)
        axes.set_xlabel("occurrences of the word in the training text", fontsize=9)
        return _svg(figure, "nats per test token")


def _svg(figure: Figure, title: str) -> str:
    [axes] = figure.axes
    axes.set_title(title, parse_math=False, fontsize=11, loc="left")
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    buffer = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=empty)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
