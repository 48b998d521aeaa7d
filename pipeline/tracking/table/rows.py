"""Reads runs from the tracking store: all that match a query, or those that a user names."""

import dataclasses
import datetime
import math
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.tracking.lookup import existing_store, find_experiments, find_in, search_runs
from pipeline.tracking.naming import GROUP_TAG
from pipeline.tracking.store import reason
from pipeline.tracking.table.columns import in_order

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_ENDED = ("FINISHED", "FAILED", "KILLED")
_SCORES: dict[str, Callable[..., float]] = {
    "perplexity": min,
    "perplexity_known": min,
    "f1": max,
    "accuracy": max,
}
_IS_FILTER = re.compile(r"[=<>]|\s(like|ilike|in|is)\s", re.IGNORECASE)
_EXAMPLE = "metrics.`test/perplexity` < 100 and params.seed_everything = '1'"
_LATEST = 32_503_680_000  # seconds, the year 3000


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run of the store.

    Attributes:
        run_id: Id of 32 hexadecimal digits.
        name: Name of the run.
        experiment: Name of the experiment.
        status: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
        start: Time of creation.
        duration: Seconds from the creation to the end, or until now.
        parent: Id of the parent run, if any.
        group: Same for runs that differ only in seed, name and hardware; None if not known.
        metric: Name of the main score, without `val/` or `test/`; None without scores.
        val: Best validation value of the main score.
        test: Test value of the main score.
        params: Logged parameters.
        tags: Tags, including those of MLflow.
        metrics: Last value of each metric.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    start: datetime.datetime
    duration: float
    parent: str | None
    group: str | None
    metric: str | None
    val: float | None
    test: float | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Query:
    """Which runs to list.

    Args:
        experiment: Name of an experiment; all experiments if omitted.
        filter: Search in the syntax of MLflow.
        sort: Column, optionally followed by " desc"; latest first if omitted.
        limit: Maximum number of runs, without the children of listed runs; no limit if omitted.
    """

    experiment: str | None = None
    filter: str | None = None
    sort: str | None = None
    limit: int | None = None


def list_runs(query: Query) -> tuple[list[RunRow], int]:
    """Returns the runs of a query, each followed by its children, and the number left out.

    Raises:
        InputError: If the store cannot be used, there is no such experiment or column, or the
            filter is invalid.
    """
    with existing_store() as client:
        names = {e.experiment_id: e.name for e in find_experiments(client, query.experiment)}
        rows = [_row(run, names[run.info.experiment_id]) for run in _search(client, names, query)]
        if query.sort is not None and query.sort.split()[0] == "val":
            rows = [_with_history(client, row) for row in rows]
        if query.sort is not None:
            rows = in_order(query.sort, rows)
        families = nest(rows)
        shown = families if query.limit is None else families[: query.limit]
        chosen = [_with_history(client, row) for family in shown for row in family]
    return chosen, len(families) - len(shown)


def select_runs(identifiers: Sequence[str]) -> list[RunRow]:
    """Returns the runs that a user names, each once, in their order.

    Each identifier is the id of a run, the beginning of the id, the name of a run, several of these
    separated by commas, or a search in the syntax of MLflow.

    Raises:
        InputError: If one of them names no run or, unless it is a search, more than one.
    """
    with existing_store() as client:
        names = {e.experiment_id: e.name for e in find_experiments(client, None)}
        runs = {run.info.run_id: run for run in _search(client, names, Query())}
        found: dict[str, Run] = {}
        known = {run_id: run.info.run_name or "" for run_id, run in runs.items()}
        for identifier in _separated(identifiers, {*known, *known.values()}):
            if _IS_FILTER.search(identifier) and identifier not in known.values():
                matches = {run.info.run_id: run for run in _search(client, names, identifier)}
                if not matches:
                    raise InputError(f"no run matches {identifier!r}; `unroll runs` lists all runs")
                found |= matches
            else:
                run_id = find_in(client, identifier, known)
                found[run_id] = runs[run_id]
        rows = [_row(run, names[run.info.experiment_id]) for run in found.values()]
        return [_with_history(client, row) for row in rows]


def _separated(identifiers: Sequence[str], known: Collection[str]) -> Iterator[str]:
    """Divides lists at commas; names and searches can contain commas themselves."""
    for identifier in identifiers:
        if identifier in known or _IS_FILTER.search(identifier):
            yield identifier
        else:
            yield from (part.strip() for part in identifier.split(","))


def nest(rows: Sequence[RunRow]) -> list[list[RunRow]]:
    """Returns families: a run, then its descendants; in each generation the order is kept."""
    by_parent: dict[str | None, list[RunRow]] = {}
    ids = {row.run_id for row in rows}
    for row in rows:
        parent = row.parent if row.parent in ids and row.parent != row.run_id else None
        by_parent.setdefault(parent, []).append(row)

    def family(row: RunRow) -> list[RunRow]:
        found, waiting = [], [row]  # no recursion: a store can have any number of generations
        while waiting:
            found.append(waiting.pop())
            waiting.extend(reversed(by_parent.get(found[-1].run_id, [])))
        return found

    return [family(row) for row in by_parent.get(None, ())]


def _search(
    client: "MlflowClient", names: Mapping[str, str], query: Query | str
) -> "Iterator[Run]":
    from mlflow.exceptions import MlflowException

    text = query if isinstance(query, str) else query.filter or ""
    try:
        yield from search_runs(client, list(names), text)
    except MlflowException as error:
        if not text or error.error_code not in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
            raise
        raise InputError(
            f"{text!r} is not a valid search for runs: {reason(error)}; expected the syntax of "
            f"MLflow, for example: {_EXAMPLE}"
        ) from error


def _row(run: "Run", experiment: str) -> RunRow:
    info, metrics, tags = run.info, run.data.metrics, run.data.tags
    end = info.end_time if info.status in _ENDED and info.end_time else time.time() * 1000
    metric = _main_score(metrics)
    return RunRow(
        run_id=info.run_id,
        name=info.run_name or "",
        experiment=experiment,
        status=info.status,
        start=_time(info.start_time),
        duration=(end - info.start_time) / 1000,  # MLflow counts milliseconds
        parent=tags.get("mlflow.parentRunId"),
        group=tags.get(GROUP_TAG),
        metric=metric,
        val=metrics.get(f"best/val_{metric}"),
        test=metrics.get(f"test/{metric}"),
        params=run.data.params,
        tags=tags,
        metrics=metrics,
    )


def _time(milliseconds: int) -> datetime.datetime:
    """Converts a time of the store, which a foreign store may have outside of the calendar."""
    seconds = min(max(milliseconds / 1000, 0), _LATEST)
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _main_score(metrics: Mapping[str, float]) -> str | None:
    """Returns the name of the score that selected the checkpoint, else that of the task."""
    monitored = [key for key in metrics if key.startswith("best/val_")]
    if len(monitored) == 1:
        return monitored[0].removeprefix("best/val_")
    return next((n for n in _SCORES if f"test/{n}" in metrics or f"val/{n}" in metrics), None)


def _with_history(client: "MlflowClient", row: RunRow) -> RunRow:
    """Adds the best validation value of a run that logged none itself."""
    key = f"val/{row.metric}"
    if row.val is not None or key not in row.metrics:
        return row
    values = [metric.value for metric in client.get_metric_history(row.run_id, key)]
    choose = _SCORES.get(str(row.metric), max)
    best = choose((value for value in values if not math.isnan(value)), default=math.nan)
    return dataclasses.replace(row, val=best)
