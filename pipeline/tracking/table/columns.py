"""Columns of tables of runs: their values, headings, and which of them a table needs."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.tracking.table.rows import RunRow

Value: TypeAlias = float | str | None

FIXED = ("run", "name", "experiment", "status", "started", "took", "metric", "val", "test", "group")
"""Columns that every run has; all others are names of metrics, parameters or tags."""
_NOT_COMPARED = ("experiment", "run_name", "config")
_SHORT = {"perplexity": "ppl", "perplexity_known": "known ppl", "f1": "F1", "accuracy": "acc"}
KNOWN, _UNKNOWN = "test/perplexity_known", "test/unk"
_COMPARED = ("test/", "best/", "model/", "perf/tokens_per_second")
_OVERFLOW = 1e300  # MLflow stores infinity as the largest float


def value_of(row: "RunRow", column: str) -> Value:
    """Returns the value of a column; None if the run has none.

    A column other than `FIXED` is a metric, parameter or tag; `metrics.`, `params.` or `tags.` in
    front of the name selects one of these.
    """
    fixed: dict[str, Value] = {
        "run": row.run_id,
        "name": row.name,
        "experiment": row.experiment,
        "status": row.status,
        "started": row.start.isoformat(),
        "took": row.duration,
        "metric": row.metric,
        "val": row.val,
        "test": row.test,
        "group": row.group,
    }
    if column in fixed:
        return fixed[column]
    kinds: dict[str, Mapping[str, float | str]] = {
        "metrics": row.metrics,
        "params": row.params,
        "tags": row.tags,
    }
    kind, _, name = column.partition(".")
    if kind in kinds and name in kinds[kind]:
        return kinds[kind][name]
    return next((values[column] for values in kinds.values() if column in values), None)


def require_columns(columns: Sequence[str], rows: Sequence["RunRow"]) -> None:
    """Raises `InputError` for a column for which no run has a value."""
    for column in columns:
        if column in FIXED or any(value_of(row, column) is not None for row in rows):
            continue
        known = {*FIXED}.union(*((*row.metrics, *row.params, *row.tags) for row in rows))
        near = difflib.get_close_matches(column, sorted(known), n=3)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise InputError(
            f"none of the {len(rows)} runs has a metric, parameter or tag {column!r}{hint}; "
            f"expected such a name, or one of {', '.join(FIXED)}"
        )


def in_order(order: str, rows: Sequence["RunRow"]) -> list["RunRow"]:
    """Returns the runs in the order of a column, such as "test/f1 desc"; those without it last."""
    column, _, direction = order.strip().partition(" ")
    if direction.strip() not in ("", "asc", "desc"):
        raise InputError(f"--sort {order!r} must be COLUMN, COLUMN asc or COLUMN desc")
    if rows:
        require_columns([column], rows)
    values = {row.run_id: _comparable(value_of(row, column)) for row in rows}
    present = [row for row in rows if values[row.run_id] is not None]
    missing = [row for row in rows if values[row.run_id] is None]
    numbers = {key: value for key, value in values.items() if isinstance(value, float)}
    backwards = direction.strip() == "desc"
    if len(numbers) == len(present):
        present.sort(key=lambda row: numbers[row.run_id], reverse=backwards)
    else:
        present.sort(key=lambda row: str(values[row.run_id]), reverse=backwards)
    return [*present, *missing]


def _comparable(value: Value) -> float | str | None:
    """Converts numbers of parameters, which MLflow stores as text; nan counts as missing."""
    if value is None:
        return None
    try:
        converted = float(value)
    except ValueError:
        return value
    return None if math.isnan(converted) else converted


def common_metric(rows: Sequence["RunRow"]) -> str | None:
    """Returns the main score of all runs that have one; None if there are several."""
    found = {row.metric for row in rows if row.metric}
    return found.pop() if len(found) == 1 else None


def useful_columns(rows: Sequence["RunRow"]) -> list[str]:
    """Returns the columns of a table in the order of importance.

    The status appears if a run did not finish, the experiment if there are several, and parameters
    that not all runs share if the runs have the same main score. The perplexity of known tokens
    appears if a test text has others.
    """
    columns = ["run", "name"]
    is_mixed = len({row.metric for row in rows if row.metric}) > 1
    columns += ["metric"] if is_mixed else []
    columns += [
        name for name in ("test", "val") if any(value_of(r, name) is not None for r in rows)
    ]
    columns += [KNOWN] if _differs_without_unknown(rows) else []
    columns += ["status"] if any(row.status != "FINISHED" for row in rows) else []
    columns += [] if is_mixed else varying(rows)
    columns += ["took"]
    columns += ["experiment"] if len({row.experiment for row in rows}) > 1 else []
    return [*columns, "started"]


def _differs_without_unknown(rows: Sequence["RunRow"]) -> bool:
    """Returns whether a run has a test perplexity that depends on `<unk>`."""
    return any(row.metric == "perplexity" and row.metrics.get(_UNKNOWN) for row in rows)


def varying(rows: Sequence["RunRow"], with_missing: bool = False) -> list[str]:
    """Returns the parameters that have more than one value in these runs.

    A parameter that some runs do not have, because it has its default there, counts only if the
    classes that it belongs to, such as `model` and `model.encoder`, are the same in all runs, or
    with `with_missing`.
    """
    names = dict.fromkeys(name for row in rows for name in row.params)
    found: list[str] = []
    for name in names:
        values = {row.params.get(name) for row in rows}
        is_known = (
            with_missing
            or None not in values
            or not any(name.startswith(f"{one}.") for one in found)
        )
        if name.split(".")[0] not in _NOT_COMPARED and len(values) > 1 and is_known:
            found.append(name)
    return found


def shared_scores(rows: Sequence["RunRow"]) -> dict[str, tuple[float, ...]]:
    """Returns the values of the scores that all runs have: `test/*`, `best/*`, sizes and speed.

    Raises `InputError` if they have no test or validation score in common.
    """
    prefixes = ("test/", "best/", "val/", "model/", "perf/")
    common = set.intersection(*({*row.metrics} for row in rows))
    names = [name for prefix in prefixes for name in sorted(common) if name.startswith(prefix)]
    if not any(name.startswith(prefixes[:3]) for name in names):
        listed = ", ".join(f"{row.run_id[:8]} ({row.metric or 'no score'})" for row in rows[:5])
        raise InputError(
            f"the runs have no score in common: {listed}; compare finished runs of one task"
        )
    names = [name for name in names if name.startswith(_COMPARED)]
    return {name: tuple(row.metrics[name] for row in rows) for name in names}


def headings(columns: Sequence[str], rows: Sequence["RunRow"]) -> list[str]:
    """Returns headings: `val` and `test` with the common score, parameters without their path."""
    metric = common_metric(rows)
    shown = _SHORT.get(metric or "", metric or "")
    found = []
    for column in columns:
        if column in ("val", "test") and metric:
            found.append(f"{column} {shown}")
        elif column == KNOWN:
            found.append(f"test {_SHORT['perplexity_known']}")
        elif column in FIXED or "/" in column:
            found.append(column)
        else:
            found.append(_shortest(column, columns))
    return found


def _shortest(column: str, columns: Sequence[str]) -> str:
    """Returns the shortest end of a dotted name that is the end of no other column."""
    parts = column.split(".")
    for count in range(1, len(parts)):
        end = ".".join(parts[-count:])
        if sum(other == end or other.endswith(f".{end}") for other in columns) == 1:
            return end
    return column


def number(value: float | None) -> str:
    """Formats a score: four significant digits below 1, else two decimal places; "-" for None."""
    if value is None:
        return "-"
    if math.isnan(value):
        return "nan"
    if abs(value) >= _OVERFLOW:
        return "inf" if value > 0 else "-inf"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"


def is_finite(value: float) -> bool:
    """Returns whether a value of the store is a finite number."""
    return math.isfinite(value) and abs(value) < _OVERFLOW
