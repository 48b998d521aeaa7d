"""The table of `unroll runs`."""

import dataclasses
import datetime
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.console import UNLIMITED, Justify, format_table, terminal_width
from pipeline.tracking.lookup import SHORT_ID, existing_store, find_experiments, search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.text import Text

_OVERFLOW = 1e300  # MLflow stores infinity as the largest float


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run of the table.

    `duration` is the number of seconds from the creation to the end, or until now. Validation
    scores are the best ones. Runs with an F1 of spans have no accuracy. `test_scores` are all other
    metrics `test/*`, without that prefix.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    start: datetime.datetime
    duration: float
    val_perplexity: float | None
    test_perplexity: float | None
    val_f1: float | None
    test_f1: float | None
    val_accuracy: float | None
    test_accuracy: float | None
    tokens_per_second: float | None
    test_scores: dict[str, float]


def list_runs(experiment: str | None = None, limit: int = 50) -> list[RunRow]:
    """Returns the latest runs of an experiment or, if omitted, of all experiments, latest first."""
    with existing_store() as client:
        names = {e.experiment_id: e.name for e in find_experiments(client, experiment)}
        runs = itertools.islice(search_runs(client, list(names)), limit)
        return [_row(client, run, names[run.info.experiment_id]) for run in runs]


def render(rows: Sequence[RunRow]) -> str:
    """Formats runs as a table.

    In a terminal the table fits its width: ids are shortened to `SHORT_ID` digits, names are cut
    in the middle, and narrow terminals get fewer columns. Elsewhere nothing is cut. Score columns
    without any value are left out.
    """
    width = terminal_width()
    cells = [_cells(row, width) for row in rows]
    headings = _headings(cells, width)
    columns: dict[str, Justify] = {h: "left" if h in _TEXTS else "right" for h in headings}
    table = [[_Name(row[h]) if h == "name" else row[h] for h in headings] for row in cells]
    return format_table(columns, table, wraps=("name", "experiment"))


def to_json(rows: Sequence[RunRow]) -> str:
    """Formats runs as a JSON list; scores that are not finite become null."""
    return json.dumps([_plain(dataclasses.asdict(row)) for row in rows], indent=2, allow_nan=False)


_TEXTS = ("run", "name", "experiment", "status", "started", "test scores")
_SCORES = ("val ppl", "test ppl", "val F1", "test F1", "val acc", "test acc")


def _cells(row: RunRow, width: int) -> dict[str, str]:
    perplexities, f1s = (row.val_perplexity, row.test_perplexity), (row.val_f1, row.test_f1)
    scores = (*perplexities, *f1s, row.val_accuracy, row.test_accuracy)
    return {
        "run": row.run_id if width == UNLIMITED else row.run_id[:SHORT_ID],
        "name": row.name,
        "experiment": row.experiment,
        "status": row.status,
        "started": f"{row.start.astimezone():%m-%d %H:%M}",
        "took": _duration(row.duration),
        **dict(zip(_SCORES, map(_number, scores), strict=True)),
        "tokens/s": _number(row.tokens_per_second),
        "test scores": " ".join(f"{k} {_number(v)}" for k, v in row.test_scores.items()),
    }


def _headings(cells: Sequence[dict[str, str]], width: int) -> list[str]:
    shown = {name for row in cells for name in _SCORES if row[name] != "-"}
    left_out = {*_SCORES} - (shown or {"val ppl", "test ppl"})
    if width < 120 or not any(row["test scores"] for row in cells):
        left_out.add("test scores")
    if width < 100:
        left_out |= {"experiment", "started"}
    names = ("run", "name", "experiment", "status", "started", "took", *_SCORES)
    return [name for name in (*names, "tokens/s", "test scores") if name not in left_out]


class _Name:
    """A run name that is cut in the middle, since its end contains the seed or fold."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.measure import Measurement

        return Measurement(min(8, len(self.name)), len(self.name))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        from rich.text import Text

        name, width = self.name, options.max_width
        if len(name) > width:
            last = min(12, width // 2)
            name = f"{name[: width - last - 1]}…{name[len(name) - last :]}"
        yield Text(name, no_wrap=True)


def _row(client: "MlflowClient", run: "Run", experiment: str) -> RunRow:
    info, metrics = run.info, run.data.metrics
    has_ended = info.status in ("FINISHED", "FAILED", "KILLED")
    has_spans = "val/f1" in metrics or "test/f1" in metrics
    own_columns = {"test/perplexity", "test/f1"} | (set() if has_spans else {"test/accuracy"})
    start = datetime.datetime.fromtimestamp(info.start_time / 1000, datetime.UTC)
    end = info.end_time if has_ended and info.end_time else time.time() * 1000  # milliseconds
    return RunRow(
        run_id=info.run_id,
        name=info.run_name or "",
        experiment=experiment,
        status=info.status,
        start=start,
        duration=(end - info.start_time) / 1000,
        val_perplexity=_best(client, run, "val/perplexity", min),
        test_perplexity=metrics.get("test/perplexity"),
        val_f1=_best(client, run, "val/f1", max),
        test_f1=metrics.get("test/f1"),
        val_accuracy=None if has_spans else _best(client, run, "val/accuracy", max),
        test_accuracy=None if has_spans else metrics.get("test/accuracy"),
        tokens_per_second=metrics.get("perf/tokens_per_second"),
        test_scores={
            name.removeprefix("test/"): value
            for name, value in sorted(metrics.items())
            if name.startswith("test/") and name not in own_columns
        },
    )


def _best(
    client: "MlflowClient", run: "Run", key: str, choose: Callable[..., float]
) -> float | None:
    if key not in run.data.metrics:
        return None
    values = [metric.value for metric in client.get_metric_history(run.info.run_id, key)]
    return choose((value for value in values if not math.isnan(value)), default=math.nan)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if math.isnan(value):
        return "nan"
    if abs(value) >= _OVERFLOW:
        return "inf"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, float) and (math.isnan(value) or abs(value) >= _OVERFLOW):
        return None
    return value
