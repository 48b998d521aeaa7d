"""Finds runs by id or name, and reads and adds artifacts of existing runs."""

import contextlib
import difflib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, shortened
from pipeline.tracking.locations import check_run
from pipeline.tracking.reach import require_answer
from pipeline.tracking.store import open_store, refusing, sqlite_path, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

SHORT_ID = 8  # digits of a run id where space is limited
_PAGE = 1000  # runs per request
_MAX_TEXT = 64 * 2**20  # bytes of an artifact that is read


class NoArtifactError(InputError):
    """The tracking store has no artifact of this name."""


def find_run(identifier: str) -> str:
    """Returns the id of a run with this id, unique beginning of an id, or unique name.

    Raises `InputError` if there is no tracking store, no such run, or more than one.
    """
    with existing_store() as client:
        ids = [experiment.experiment_id for experiment in find_experiments(client, None)]
        names: dict[str, str] = {
            run.info.run_id: run.info.run_name or "" for run in search_runs(client, ids)
        }
        return find_in(client, identifier, names)


def find_in(client: "MlflowClient", identifier: str, names: Mapping[str, str]) -> str:
    """Returns the id of a run among all runs of the store, whose names are given for each id.

    Raises `InputError` if there is no such run, it was deleted, or there is more than one.
    """
    if identifier in names:
        return identifier
    found = _matches(identifier, names)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{run_id} ({names[run_id]})" for run_id in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise InputError(f"{identifier!r} matches {len(found)} runs: {listed}{more}; give a run id")
    for run_id in _matches(identifier, _deleted(client)):
        raise InputError(
            f"run {identifier} was deleted; restore it with `mlflow runs restore --run-id {run_id}`"
        )
    hint = _did_you_mean(identifier, [*names.values(), *(run_id[:SHORT_ID] for run_id in names)])
    raise InputError(f"no run {identifier!r}{hint}; `unroll runs` lists all runs")


def _matches(identifier: str, names: Mapping[str, str]) -> list[str]:
    if identifier in names:
        return [identifier]
    found = [run_id for run_id, name in names.items() if name == identifier]
    return found or [run_id for run_id in names if identifier and run_id.startswith(identifier)]


def _deleted(client: "MlflowClient") -> dict[str, str]:
    """Returns ids and names of the latest deleted runs."""
    from mlflow.entities import ViewType

    ids = [experiment.experiment_id for experiment in client.search_experiments(ViewType.ALL)]
    page = client.search_runs(ids, run_view_type=ViewType.DELETED_ONLY, max_results=_PAGE)
    return {run.info.run_id: run.info.run_name or "" for run in page}


def download(run_id: str, artifact_path: str, destination: Path) -> Path:
    """Downloads an artifact of a run to a local folder; an interrupted download leaves nothing.

    Returns the local path; an existing file of that name is replaced. Raises `NoArtifactError` if
    there is no such artifact, and `InputError` if it is no file, the folder contains a folder of
    that name, or the store names another place than MLflow does.
    """
    with existing_store() as client:
        check_run(client, run_id)
        folder, _, name = artifact_path.rpartition("/")
        paths = [file.path for file in client.list_artifacts(run_id, folder or None)]
        if artifact_path not in paths:
            raise NoArtifactError(
                f"run {run_id} has no artifact {artifact_path}; its artifacts in "
                f"{folder or 'the root folder'}: {', '.join(paths) or 'none'}"
            )
        destination.mkdir(parents=True, exist_ok=True)
        target = destination / name
        if target.is_dir():
            raise InputError(
                f"cannot download {artifact_path}: {target} is an existing folder; remove it"
            )
        with tempfile.TemporaryDirectory(dir=destination, prefix=".unfinished-") as unfinished:
            local = client.download_artifacts(run_id, artifact_path, unfinished)
            os.replace(downloaded_file(local, unfinished), target)
        return target


def downloaded_file(path: str, folder: str) -> Path:
    """Returns a file that MLflow has downloaded; raises `InputError` if it is not in a folder."""
    found = Path(path)
    is_inside = found.resolve().is_relative_to(Path(folder).resolve())
    if not is_inside or found.is_symlink() or not found.is_file():
        raise InputError(
            f"the tracking store has no file {shortened(found.name)}, but a folder or link of this "
            "name; name another run"
        )
    return found


def run_name_of(run_id: str) -> str:
    """Returns the name of a run."""
    with existing_store() as client:
        return client.get_run(run_id).info.run_name or ""


def last_sign(run_id: str) -> float | None:
    """Returns when a RUNNING run logged its last value, in seconds since 1970; else None."""
    with existing_store() as client:
        run = client.get_run(run_id)
        if run.info.status != "RUNNING":
            return None
        times = [
            metric.timestamp
            for key in ("tokens_seen", "system/cpu_utilization_percentage")
            if key in run.data.metrics
            for metric in client.get_metric_history(run_id, key)
        ]
        return max(times, default=run.info.start_time) / 1000


def metric_history(run_id: str, key: str) -> list[tuple[int, float]]:
    """Returns the steps and values of a metric, in the order of steps."""
    with existing_store() as client:
        found = client.get_metric_history(run_id, key)
    return sorted((metric.step, metric.value) for metric in found)


def read_artifact(run_id: str, artifact_path: str) -> str | None:
    """Returns a text artifact of a run; None if there is none, or it is larger than 64 MiB."""
    with existing_store() as client, tempfile.TemporaryDirectory() as folder:
        check_run(client, run_id)
        parent = artifact_path.rpartition("/")[0] or None
        sizes = {file.path: file.file_size for file in client.list_artifacts(run_id, parent)}
        size = sizes.get(artifact_path)
        if size is None or size > _MAX_TEXT:
            return None
        file = downloaded_file(client.download_artifacts(run_id, artifact_path, folder), folder)
        return file.read_text(encoding="utf-8", errors="replace")


def add_values(run_id: str, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Adds single values and tags to a run of any status; both replace earlier ones."""
    from mlflow import entities

    now = int(time.time() * 1000)
    metrics = [entities.Metric(key, value, now, 0) for key, value in values.items()]
    with existing_store() as client:
        pairs = [entities.RunTag(key, value) for key, value in tags.items()]
        client.log_batch(run_id, metrics=metrics, tags=pairs)


def upload(run_id: str, files: Sequence[Path], folder: str) -> None:
    """Adds files to a run of any status; artifacts of the same names are replaced."""
    with existing_store() as client:
        check_run(client, run_id)
        for file in files:
            client.log_artifact(run_id, str(file), folder)


@contextlib.contextmanager
def existing_store() -> "Iterator[MlflowClient]":
    """Opens the tracking store, but creates none; raises `InputError` if there is none."""
    uri = tracking_uri()
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        raise InputError(
            f"no runs yet: {path} does not exist; train a model first, or set MLFLOW_TRACKING_URI "
            "to an existing tracking store"
        )
    with refusing(uri):
        require_answer(uri)
        yield open_store()


def find_experiments(client: "MlflowClient", name: str | None) -> "list[Experiment]":
    """Returns the experiment of that name, or all; raises `InputError` if there is none."""
    found = list(client.search_experiments())
    if name is None:
        return found
    chosen = [experiment for experiment in found if experiment.name == name]
    if not chosen:
        hint = _did_you_mean(name, [experiment.name for experiment in found])
        raise InputError(f"no experiment {name!r}{hint}; `unroll runs` lists all runs")
    return chosen


def search_runs(
    client: "MlflowClient", experiment_ids: list[str], text: str = ""
) -> "Iterator[Run]":
    """Yields the runs of experiments that match a search of MLflow, latest first."""
    token: str | None = ""
    while token is not None:
        page = client.search_runs(experiment_ids, text, max_results=_PAGE, page_token=token or None)
        yield from page
        token = page.token or None


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
