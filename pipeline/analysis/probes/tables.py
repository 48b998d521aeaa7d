"""Table and figure of the results of a probe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.analysis.probes.agreement import AgreementRate, Judged, by_attractors, by_range
from pipeline.analysis.probes.variants import MEAN, SEED

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
_STYLES = ("-", "--", ":", "-.")
_GREY = "#888888"
_FULL: dict[str, Any] = {"marker": "o", "markersize": 4}
_FAINT: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.4}


class ModelScores(NamedTuple):
    """The agreement rates of one model.

    Example:
        >>> scores = ModelScores.of({"encoder": "lstm"}, "run1", [Judged(4, 1, 0.5)])
        >>> scores.scores
        {'distance_3': 1.0, 'attractors_1': 1.0}
    """

    labels: Mapping[str, str]  # group -> setting, such as {"encoder": "lstm"}
    run: str  # ID of its run
    ranges: list[AgreementRate]  # by ranges of distances
    attractors: list[AgreementRate]  # by the number of attractors

    @classmethod
    def of(cls, labels: Mapping[str, str], run: str, judged: Sequence[Judged]) -> "ModelScores":
        """Computes the rates from the results of `judge`."""
        return cls(labels, run, by_range(judged), by_attractors(judged))

    @property
    def scores(self) -> dict[str, float]:
        """Metric name -> accuracy, for the tracker."""
        least = [rate.group.rstrip("+").split("-")[0] for rate in self.ranges]
        rates = zip(least, self.ranges, strict=True)
        distances = {f"distance_{number}": rate.accuracy for number, rate in rates}
        return distances | {f"attractors_{rate.group}": rate.accuracy for rate in self.attractors}


def means_over_seeds(models: Sequence[ModelScores]) -> list[ModelScores]:
    """Averages models that differ only in their setting of the group "seed".

    Returns one entry per combination of the other settings, with seed "mean", that counts the verbs
    of all seeds; [] if there is no such group or only one seed.
    """
    if len({model.labels.get(SEED) for model in models}) < 2:
        return []
    alike: dict[tuple[str, ...], list[ModelScores]] = {}
    for model in models:
        alike.setdefault(tuple({**model.labels, SEED: MEAN}.values()), []).append(model)
    return [
        ModelScores(
            {**same[0].labels, SEED: MEAN},
            f"of {len(same)}",
            [_summed(rates) for rates in zip(*(one.ranges for one in same), strict=True)],
            [_summed(rates) for rates in zip(*(one.attractors for one in same), strict=True)],
        )
        for same in alike.values()
    ]


def _summed(rates: Sequence[AgreementRate]) -> AgreementRate:
    return AgreementRate(rates[0].group, sum(x.right for x in rates), sum(x.total for x in rates))


def write_table(models: Sequence[ModelScores]) -> str:
    """Returns a tab-separated table: accuracies by distance and attractors, one row per model.

    Rows of means over seeds follow.
    """
    first = models[0]
    head = [*first.labels, "run"]
    head += [f"distance {rate.group}" for rate in first.ranges]
    head += [f"attractors {rate.group}" for rate in first.attractors]
    rows = [head]
    for model in [*models, *means_over_seeds(models)]:
        rates = [*model.ranges, *model.attractors]
        rows.append([*model.labels.values(), model.run, *(f"{x.accuracy:.4f}" for x in rates)])
    counts = [str(rate.total) for rate in (*first.ranges, *first.attractors)]
    rows.append(["verbs", *[""] * len(first.labels), *counts])
    return "".join("\t".join(row) + "\n" for row in rows)


def draw_lines(models: Sequence[ModelScores], path: Path) -> None:
    """Draws accuracy against distance into a PNG file, one line per model.

    The first label determines the color, the second the line style. With several seeds, their mean
    is drawn and each seed as a thin line.
    """
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.subplots()
    means = means_over_seeds(models)
    names = [name for name in models[0].labels if not (means and name == SEED)]
    colors = _assigned([model.labels[name] for model in models for name in names[:1]], _COLORS)
    styles = _assigned([model.labels[name] for model in models for name in names[1:2]], _STYLES)
    if len(styles) < 2:  # only one value
        names, styles = names[:1], {}
    for model in [*models, *means]:
        faint = bool(means) and model.labels[SEED] != MEAN
        axes.plot(
            [rate.accuracy for rate in model.ranges],
            color=colors[model.labels[names[0]]] if names else _COLORS[0],
            linestyle=styles[model.labels[names[1]]] if styles else "-",
            clip_on=False,
            **(_FAINT if faint else _FULL),
        )
    _label(axes, models[0].ranges)
    axes.set_ylim(min(0.48, *(x.accuracy for model in models for x in model.ranges)), 1.0)
    axes.set_title("Number agreement by distance" + (", mean over seeds" if means else ""))
    if names:
        keys = _keys(names, colors, styles)
        figure.legend(handles=keys, loc="outside right center", frameon=False)
    figure.savefig(path, dpi=110)


def _label(axes: Axes, ranges: Sequence[AgreementRate]) -> None:
    axes.axhline(0.5, color=_GREY, linewidth=0.8)
    axes.text(0, 0.502, "guessing", color=_GREY, fontsize=8, va="bottom")
    axes.set_xticks(range(len(ranges)), [rate.group for rate in ranges])
    axes.set_xlabel(f"words between the subject and its verb ({_counted(ranges)} verbs each)")
    axes.set_ylabel("fraction of verbs in the right number")
    axes.grid(alpha=0.3)


def _keys(
    names: Sequence[str], colors: Mapping[str, str], styles: Mapping[str, str]
) -> list[Line2D]:
    titles = [Line2D([], [], linestyle="", label=f"{name}:") for name in names[:2]]
    keys = titles[:1]
    keys += [Line2D([], [], color=color, label=label) for label, color in colors.items()]
    keys += titles[1:]
    keys += [Line2D([], [], color=_GREY, linestyle=s, label=label) for label, s in styles.items()]  # type: ignore[arg-type]  # a str
    return keys


def _assigned(labels: Sequence[str], choices: Sequence[str]) -> dict[str, str]:
    distinct = list(dict.fromkeys(labels))
    return {label: choices[place % len(choices)] for place, label in enumerate(distinct)}


def _counted(rates: Sequence[AgreementRate]) -> str:
    least, most = (choose(rate.total for rate in rates) for choose in (min, max))
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
