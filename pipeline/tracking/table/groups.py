"""Means and standard deviations over runs that differ only in the seed."""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.tracking.table.columns import is_finite, number
from pipeline.tracking.table.rows import RunRow


class Summary(NamedTuple):
    """Mean and sample standard deviation (nan for one value) of a score over `num_runs` runs."""

    mean: float
    std: float
    num_runs: int

    def __str__(self) -> str:
        """Returns, for example, "97.25 ± 0.31"."""
        if self.num_runs < 2:
            return number(self.mean)
        return f"{number(self.mean)} ± {_spread(self.mean, self.std)}"


class Group(NamedTuple):
    """Runs that differ only in seed, name and hardware."""

    name: str
    rows: list[RunRow]

    @property
    def seeds(self) -> list[str]:
        """Seeds of the runs."""
        return [row.params.get("seed_everything", "-") for row in self.rows]

    def summary(self, metric: str) -> Summary | None:
        """Returns the mean and standard deviation of a metric; None if no run has a finite one.

        `val` and `test` are the values of the main score. Of runs with the same seed, which are
        repetitions and no independent samples, only the latest counts.
        """
        values: dict[str, float] = {}
        for row in sorted(self.rows, key=lambda row: row.start):
            value = getattr(row, metric) if metric in ("val", "test") else row.metrics.get(metric)
            if value is not None:
                values[row.params.get("seed_everything", row.run_id)] = value
        return summarize(list(values.values()))

    def metrics(self) -> Mapping[str, Summary]:
        """Returns the summaries of all metrics that runs of the group have."""
        names = dict.fromkeys(name for row in self.rows for name in sorted(row.metrics))
        found = {name: self.summary(name) for name in names}
        return {name: summary for name, summary in found.items() if summary is not None}


def summarize(values: Sequence[float]) -> Summary | None:
    """Returns mean and sample standard deviation of the finite values; None if there are none.

    Example:
        >>> summarize([1.0, 2.0, 3.0])
        Summary(mean=2.0, std=1.0, num_runs=3)
    """
    finite = [value for value in values if is_finite(value)]
    if not finite:
        return None
    std = statistics.stdev(finite) if len(finite) > 1 else math.nan
    return Summary(statistics.fmean(finite), std, len(finite))


def group_by_seed(rows: Sequence[RunRow]) -> list[Group]:
    """Returns groups of runs that differ only in seed, name and hardware, in the given order.

    A run without group is alone. Runs whose children are listed are left out, since their scores
    are summaries already.
    """
    parents = {row.parent for row in rows}
    found: dict[tuple[str, str], list[RunRow]] = {}
    for row in rows:
        if row.run_id not in parents:
            found.setdefault((row.experiment, row.group or row.run_id), []).append(row)
    return [Group(_name(members), members) for members in found.values()]


def _name(members: Sequence[RunRow]) -> str:
    names = {re.sub(r"-s\d+$", "", row.name) for row in members}
    return names.pop() if len(names) == 1 else members[0].name


def _spread(mean: float, std: float) -> str:
    """Formats a standard deviation with the decimal places of its mean."""
    if abs(mean) < 1:
        return f"{std:.4f}".rstrip("0").rstrip(".") or "0"
    return f"{std:.2f}"
