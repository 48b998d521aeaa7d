"""Table and figures of a sweep: its trials, parallel coordinates, importance of the flags."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_BEST, _GREY = "#d55e00", "#888888"
_MAX_TICKS = 12


class TrialRow(NamedTuple):
    """A trial that has ended; `score` is None unless it completed."""

    number: int
    run: str  # id of its run
    state: str
    score: float | None
    params: Mapping[str, Any]


def write_trials(trials: Sequence[TrialRow], metric: str) -> str:
    """Returns a tab-separated table with a row for each trial.

    Example:
        >>> trials = [TrialRow(0, "a1", "COMPLETE", 21.5, {"model.dropout": 0.2})]
        >>> print(write_trials(trials, "val/perplexity").expandtabs(16))
        trial           run             state           val/perplexity  model.dropout
        0               a1              COMPLETE        21.5            0.2
        <BLANKLINE>
    """
    flags = list(dict.fromkeys(flag for trial in trials for flag in trial.params))
    rows = [["trial", "run", "state", metric, *flags]]
    for trial in trials:
        score = "" if trial.score is None else f"{trial.score:.10g}"
        values = [str(trial.params.get(flag, "")) for flag in flags]
        rows.append([str(trial.number), trial.run, trial.state, score, *values])
    return "".join("\t".join(row) + "\n" for row in rows)


def draw_importances(importances: Mapping[str, float], metric: str, path: Path) -> None:
    """Draws the importance of each flag into a PNG file, as bars, the largest at the top."""
    figure = Figure(figsize=(7.2, 1.2 + 0.4 * len(importances)), layout="constrained")
    axes = figure.subplots()
    flags = sorted(importances, key=lambda flag: importances[flag])
    bars = axes.barh(flags, [importances[flag] for flag in flags], color="#0072b2", height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlim(0, max(1e-9, *importances.values()) * 1.15)
    axes.set_xlabel("importance (share of the variance, PED-ANOVA)")
    axes.set_title(f"Importance for {metric}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)


def draw_parallel_coordinates(
    trials: Sequence[TrialRow],
    metric: str,
    is_better_low: bool,
    log_flags: Sequence[str],
    path: Path,
) -> None:
    """Draws completed trials as lines through an axis per flag and one for the score, as PNG.

    The color is the rank of the score; the best trial is drawn thick. Flags in `log_flags` have
    logarithmic axes, and flags with values that are no numbers an axis of names.
    """
    done = [trial for trial in trials if trial.score is not None]
    flags = list(done[0].params)
    columns = [
        *(_Column.of(flag, [t.params[flag] for t in done], flag in log_flags) for flag in flags),
        _Column.of(metric, [trial.score for trial in done], False),
    ]
    heights = [column.places for column in columns]
    scores = heights[-1]
    figure = Figure(figsize=(max(6.4, 1.9 * len(columns)), 4.8), layout="constrained")
    axes = figure.subplots()
    colors = colormaps["viridis"]
    worst_first = sorted(range(len(done)), key=lambda i: scores[i], reverse=is_better_low)
    for rank, index in enumerate(worst_first):
        line = [column[index] for column in heights]
        color = colors(0.95 * rank / max(1, len(done) - 1))
        axes.plot(line, color=color, linewidth=1.1, alpha=0.8)
    best = worst_first[-1]
    axes.plot(
        [column[best] for column in heights],
        color=_BEST,
        linewidth=2.6,
        label=f"best: trial {done[best].number}",
    )
    _draw_axes(axes, columns)
    axes.set_title(f"{len(done)} trials, colored by rank: yellow is best", loc="left", fontsize=10)
    figure.legend(loc="outside upper right", frameon=False)
    figure.savefig(path, dpi=110)


class _Column(NamedTuple):
    """An axis: its name, the place of each trial from 0 to 1, and labels at places."""

    name: str
    places: list[float]
    ticks: list[tuple[float, str]]

    @classmethod
    def of(cls, name: str, values: Sequence[Any], is_log: bool) -> "_Column":
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return cls._of_numbers(name, values, is_log)
        names = sorted({str(value) for value in values})
        place = {text: (n + 0.5) / len(names) for n, text in enumerate(names)}
        ticks = [(place[text], text.rpartition(".")[2]) for text in names[:_MAX_TICKS]]
        return cls(name, [place[str(value)] for value in values], ticks)

    @classmethod
    def _of_numbers(cls, name: str, values: Sequence[float], is_log: bool) -> "_Column":
        scale = math.log if is_log else float
        low, high = scale(min(values)), scale(max(values))
        width = high - low or 1.0
        places = [(scale(value) - low) / width for value in values]
        distinct = sorted({*values})
        if len(distinct) > 5:  # ends and quarters
            marks = [low + width * part / 4 for part in range(5)]
            numbers = [math.exp(mark) if is_log else mark for mark in marks]
            if all(isinstance(value, int) for value in values):
                numbers = [round(number) for number in numbers]
            ticks = [((scale(one) - low) / width, _short(one)) for one in numbers]
        else:
            ticks = [((scale(value) - low) / width, f"{value:.4g}") for value in distinct]
        return cls(name, places, ticks)


def _short(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.3g}"


def _draw_axes(axes: Axes, columns: Sequence[_Column]) -> None:
    for position, column in enumerate(columns):
        axes.axvline(position, color=_GREY, linewidth=0.8, zorder=0)
        for place, text in column.ticks:
            axes.annotate(
                text,
                (position, place),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
            )
    names = [
        column.name.replace(".", ".\n") if "." in column.name else column.name for column in columns
    ]
    axes.set_xticks(range(len(columns)), names, fontsize=8)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(columns) - 0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
