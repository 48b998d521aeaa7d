"""What a probe found, as a table and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.analysis.probes.agreement import AgreementRate, Judged, by_attractors, by_range
from pipeline.analysis.probes.variants import MEAN, SEED

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
_STYLES = ("-", "--", ":", "-.")
_GREY = "#888888"
_FULL: dict[str, Any] = {"marker": "o", "markersize": 4}
_FAINT: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.4}


class ModelScores(NamedTuple):
    """What one model makes of the verbs.

    Attributes:
        labels: what the model is, as {"encoder": "lstm", "clipping": "clip"}.
        run: the id of its run.
        ranges: by ranges of distances.
        attractors: by the number of attractors.
    """

    labels: Mapping[str, str]
    run: str
    ranges: list[AgreementRate]
    attractors: list[AgreementRate]

    @classmethod
    def of(cls, labels: Mapping[str, str], run: str, judged: Sequence[Judged]) -> "ModelScores":
        """Counts what was judged."""
        return cls(labels, run, by_range(judged), by_attractors(judged))

    @property
    def scores(self) -> dict[str, float]:
        """Accuracies by names that a tracker takes: the least distance, the attractors."""
        distances = {f"distance_{_least(share)}": share.accuracy for share in self.ranges}
        return distances | {
            f"attractors_{share.group}": share.accuracy for share in self.attractors
        }


def means_over_seeds(lines: Sequence[ModelScores]) -> list[ModelScores]:
    """Averages models that differ in their setting of the group "seed" alone.

    Args:
        lines: all of the same verbs.

    Returns:
        A line for each of the other settings, of seed "mean", whose shares count the verbs of all
        seeds; none without that group or with one seed in it.
    """
    if len({line.labels.get(SEED) for line in lines}) < 2:
        return []
    alike: dict[tuple[str, ...], list[ModelScores]] = {}
    for line in lines:
        alike.setdefault(tuple({**line.labels, SEED: MEAN}.values()), []).append(line)
    return [
        ModelScores(
            {**same[0].labels, SEED: MEAN},
            f"of {len(same)}",
            [_summed(shares) for shares in zip(*(one.ranges for one in same), strict=True)],
            [_summed(shares) for shares in zip(*(one.attractors for one in same), strict=True)],
        )
        for same in alike.values()
    ]


def _summed(shares: Sequence[AgreementRate]) -> AgreementRate:
    return AgreementRate(
        shares[0].group, sum(x.right for x in shares), sum(x.total for x in shares)
    )


def write_table(lines: Sequence[ModelScores]) -> str:
    """Writes a row a model: accuracies by distance and by attractors, TAB between them.

    Means over seeds follow, see `means_over_seeds`.

    Args:
        lines: at least one, all of the same verbs.
    """
    first = lines[0]
    head = [*first.labels, "run"]
    head += [f"distance {share.group}" for share in first.ranges]
    head += [f"attractors {share.group}" for share in first.attractors]
    rows = [head]
    for line in [*lines, *means_over_seeds(lines)]:
        shares = [*line.ranges, *line.attractors]
        rows.append([*line.labels.values(), line.run, *(f"{x.accuracy:.4f}" for x in shares)])
    counts = [str(share.total) for share in (*first.ranges, *first.attractors)]
    rows.append(["verbs", *[""] * len(first.labels), *counts])
    return "".join("\t".join(row) + "\n" for row in rows)


def draw_lines(lines: Sequence[ModelScores], path: Path) -> None:
    """Draws accuracy against distance: a line a model, coloured by its first label.

    Of several seeds the mean is drawn, and each of them faintly.

    Args:
        lines: at least one; the second label, where there is one, is told by the kind of line.
        path: of the PNG file.
    """
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    means = means_over_seeds(lines)
    names = [name for name in lines[0].labels if not (means and name == SEED)]
    colours = _assigned([line.labels[name] for line in lines for name in names[:1]], _COLOURS)
    styles = _assigned([line.labels[name] for line in lines for name in names[1:2]], _STYLES)
    if len(styles) < 2:  # nothing to tell apart
        names, styles = names[:1], {}
    for line in [*lines, *means]:
        faint = bool(means) and line.labels[SEED] != MEAN
        axes.plot(
            [share.accuracy for share in line.ranges],
            color=colours[line.labels[names[0]]] if names else _COLOURS[0],
            linestyle=styles[line.labels[names[1]]] if styles else "-",
            clip_on=False,
            **(_FAINT if faint else _FULL),
        )
    _label(axes, lines[0].ranges)
    axes.set_ylim(min(0.48, *(x.accuracy for line in lines for x in line.ranges)), 1.0)
    axes.set_title("Number agreement by distance" + (", mean over seeds" if means else ""))
    if names:
        keys = _keys(names, colours, styles)
        figure.legend(handles=keys, loc="outside right center", frameon=False)
    figure.savefig(path, dpi=110)


def _label(axes: Axes, ranges: Sequence[AgreementRate]) -> None:
    axes.axhline(0.5, color=_GREY, linewidth=0.8)
    axes.text(0, 0.502, "guessing", color=_GREY, fontsize=8, va="bottom")
    axes.set_xticks(range(len(ranges)), [share.group for share in ranges])
    axes.set_xlabel(f"words between the subject and its verb ({_counted(ranges)} verbs each)")
    axes.set_ylabel("share of verbs in the right number")
    axes.grid(alpha=0.3)


def _keys(
    names: Sequence[str], colours: Mapping[str, str], styles: Mapping[str, str]
) -> list[Line2D]:
    keys = [_title(names[0])]
    keys += [Line2D([], [], color=colour, label=label) for label, colour in colours.items()]
    keys += [_title(name) for name in names[1:2]]
    keys += [Line2D([], [], color=_GREY, linestyle=s, label=label) for label, s in styles.items()]  # type: ignore[arg-type]  # a str
    return keys


def _title(group: str) -> Line2D:
    return Line2D([], [], linestyle="", label=f"{group}:")


def _assigned(labels: Sequence[str], choices: Sequence[str]) -> dict[str, str]:
    distinct = list(dict.fromkeys(labels))
    return {label: choices[place % len(choices)] for place, label in enumerate(distinct)}


def _counted(shares: Sequence[AgreementRate]) -> str:
    least, most = (choose(share.total for share in shares) for choose in (min, max))
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _least(share: AgreementRate) -> str:
    return share.group.rstrip("+").split("-")[0]
