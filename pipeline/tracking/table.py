"""Looking at runs: the table of `unroll runs`, finding one by what a person calls it, fetching."""

import contextlib
import dataclasses
import datetime
import difflib
import io
import itertools
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.errors import InputError
from pipeline.tracking.cells import duration, number, plain
from pipeline.tracking.naming import shortened
from pipeline.tracking.store import open_store, refusing, sqlite_path, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

WIDTH = 100  # columns, where there is no terminal
ID_LENGTH = 8
PAGE = 1000
_TEXTS = ("run", "name", "experiment", "status", "started")
_SCORES = ("val ppl", "test ppl", "val F1", "test F1", "val acc", "test acc")  # where there is one
_NUMBERS = ("took", *_SCORES, "tokens/s")


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run in a table.

    `duration` is in seconds, of a run that is not over until now. `val_perplexity` is the lowest
    and `val_f1` the highest of the run. Accuracies are those of runs without an F1 of spans, beside
    which they say little. `test_scores` are all other `test/*` metrics.
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
    """Returns the latest runs, the latest first.

    Args:
        experiment: The name of the only experiment to look at.
        limit: The greatest number of runs.

    Raises:
        InputError: There is no store yet, or no such experiment.
    """
    with _existing_store() as client:
        names = {e.experiment_id: e.name for e in _experiments(client, experiment)}
        runs = itertools.islice(_runs(client, list(names)), limit)
        return [_row(client, run, names[run.info.experiment_id]) for run in runs]


def render(rows: Sequence[RunRow]) -> str:
    """Writes runs as a table as wide as the terminal, or `WIDTH`.

    Ids are cut to `ID_LENGTH` digits, which `find_run` takes as well.
    """
    from rich.console import Console
    from rich.table import Table

    width = shutil.get_terminal_size((WIDTH, 24)).columns
    left_out: tuple[str, ...] = ("experiment", "started") if width < WIDTH else ()
    left_out += ("test scores",) if width < WIDTH + 20 else ()
    left_out += _empty(rows)
    table = Table(box=None, pad_edge=False)
    headings = [heading for heading in (*_TEXTS, *_NUMBERS) if heading not in left_out]
    sizes = _widths(headings, rows, width)
    for heading, size in sizes.items():
        justify: Literal["right", "left"] = "right" if heading in _NUMBERS else "left"
        table.add_column(heading, no_wrap=True, justify=justify, overflow="ellipsis", width=size)
    with_scores = any(row.test_scores for row in rows) and "test scores" not in left_out
    if with_scores:
        table.add_column("test scores", no_wrap=True, overflow="ellipsis")
    for row in rows:
        named = dataclasses.replace(row, name=shortened(row.name, sizes.get("name")))
        cells = zip((*_TEXTS, *_NUMBERS, "test scores"), _cells(named), strict=False)
        table.add_row(*(cell for heading, cell in cells if heading not in left_out))
    console = Console(file=io.StringIO(), width=width, color_system=None, emoji=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def to_json(rows: Sequence[RunRow]) -> str:
    """Writes runs as a JSON list, for programs; a score that is not finite is null."""
    return json.dumps([plain(dataclasses.asdict(row)) for row in rows], indent=2, allow_nan=False)


def find_run(identifier: str) -> str:
    """Returns the id of the run that a person means.

    Args:
        identifier: An id, the name of one run only, or the first digits of one id only.

    Raises:
        InputError: There is no store yet, no such run, or more than one.
    """
    with _existing_store() as client:
        ids = [experiment.experiment_id for experiment in _experiments(client, None)]
        names: dict[str, str] = {
            run.info.run_id: run.info.run_name or "" for run in _runs(client, ids)
        }
    if identifier in names:
        return identifier
    found = [run_id for run_id, name in names.items() if name == identifier]
    found = found or [run_id for run_id in names if identifier and run_id.startswith(identifier)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{run_id} ({names[run_id]})" for run_id in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise InputError(
            f"{identifier!r} may be any of {len(found)} runs, {listed}{more}; give an id"
        )
    hint = _did_you_mean(identifier, [*names.values(), *(run_id[:ID_LENGTH] for run_id in names)])
    raise InputError(f"there is no run {identifier!r}{hint}; `unroll runs` lists all runs")


def download(run_id: str, artifact_path: str, destination: Path) -> Path:
    """Fetches an artifact of a run, whole or not at all.

    Args:
        run_id: The full id.
        artifact_path: A file, or a folder, among the artifacts.
        destination: The folder to put it into, created if need be.

    Returns:
        Where it is now. A file of that name that was there is replaced.

    Raises:
        InputError: There is no such artifact, or a folder of that name is there.
    """
    with _existing_store() as client:
        folder, _, name = artifact_path.rpartition("/")
        paths = [file.path for file in client.list_artifacts(run_id, folder or None)]
        if artifact_path not in paths:
            listed = ", ".join(paths) or "nothing"
            raise InputError(
                f"the run {run_id} has no artifact {artifact_path}: "
                f"{folder or 'the root of its artifacts'} holds {listed}"
            )
        destination.mkdir(parents=True, exist_ok=True)
        target = destination / name
        if target.is_dir():
            raise InputError(f"{target} is a folder, where {artifact_path} would go; remove it")
        with tempfile.TemporaryDirectory(dir=destination, prefix=".unfinished-") as unfinished:
            os.replace(client.download_artifacts(run_id, artifact_path, unfinished), target)
        return target


def upload(run_id: str, files: Sequence[Path], folder: str) -> None:
    """Adds files to a run, whatever its status, in place of those of the same names.

    Raises:
        InputError: There is no store yet, or it does not take them.
    """
    with _existing_store() as client:
        for file in files:
            client.log_artifact(run_id, str(file), folder)


@contextlib.contextmanager
def _existing_store() -> "Iterator[MlflowClient]":
    uri = tracking_uri()
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        raise InputError(
            f"there are no runs yet: {path} does not exist; train a model first, or name the "
            "tracking store with MLFLOW_TRACKING_URI"
        )
    with refusing(uri):
        yield open_store()


def _experiments(client: "MlflowClient", name: str | None) -> "list[Experiment]":
    found = list(client.search_experiments())
    if name is None:
        return found
    chosen = [experiment for experiment in found if experiment.name == name]
    if not chosen:
        hint = _did_you_mean(name, [experiment.name for experiment in found])
        raise InputError(f"there is no experiment {name!r}{hint}; `unroll runs` lists all runs")
    return chosen


def _runs(client: "MlflowClient", experiment_ids: list[str]) -> "Iterator[Run]":
    token: str | None = ""
    while token is not None:
        page = client.search_runs(experiment_ids, max_results=PAGE, page_token=token or None)
        yield from page
        token = page.token or None


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _row(client: "MlflowClient", run: "Run", experiment: str) -> RunRow:
    info, metrics = run.info, run.data.metrics
    is_over = info.status in ("FINISHED", "FAILED", "KILLED")
    has_spans = "val/f1" in metrics or "test/f1" in metrics
    apart = {"test/perplexity", "test/f1"} | (set() if has_spans else {"test/accuracy"})
    start = datetime.datetime.fromtimestamp(info.start_time / 1000, datetime.UTC)
    end = info.end_time if is_over and info.end_time else time.time() * 1000  # milliseconds
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
            if name.startswith("test/") and name not in apart
        },
    )


def _best(
    client: "MlflowClient", run: "Run", key: str, choose: Callable[..., float]
) -> float | None:
    if key not in run.data.metrics:
        return None
    values = [metric.value for metric in client.get_metric_history(run.info.run_id, key)]
    return choose((value for value in values if not math.isnan(value)), default=math.nan)


def _empty(rows: Sequence[RunRow]) -> tuple[str, ...]:
    """Gives the scores that no run has, but the perplexities where there are no scores at all."""
    cells = [dict(zip((*_TEXTS, *_NUMBERS), _cells(row), strict=False)) for row in rows]
    shown = {name for row in cells for name in _SCORES if row[name] != "-"}
    return tuple({*_SCORES} - (shown or {"val ppl", "test ppl"}))


def _widths(headings: Sequence[str], rows: Sequence[RunRow], total: int) -> dict[str, int]:
    """Gives each column what it needs; a name may be cut to fit, an id or a number may not."""
    widths = {heading: _width(heading, rows) for heading in headings}
    gaps = 2 * (len(headings) - 1)
    for heading in ("name", "experiment"):
        excess = sum(widths.values()) + gaps - total
        if heading in widths and excess > 0:
            widths[heading] = max(8, widths[heading] - excess)
    return widths


def _width(heading: str, rows: Sequence[RunRow]) -> int:
    index = (*_TEXTS, *_NUMBERS).index(heading)
    return max(len(heading), *(len(_cells(row)[index]) for row in rows), 0)


def _cells(row: RunRow) -> list[str]:
    scores = " ".join(f"{name} {number(value)}" for name, value in row.test_scores.items())
    return [
        row.run_id[:ID_LENGTH],
        row.name,
        row.experiment,
        row.status,
        f"{row.start.astimezone():%m-%d %H:%M}",
        duration(row.duration),
        *map(number, (row.val_perplexity, row.test_perplexity, row.val_f1, row.test_f1)),
        *map(number, (row.val_accuracy, row.test_accuracy)),
        number(row.tokens_per_second),
        *([scores] if scores else []),
    ]
