"""Opens the MLflow run of a training: a new run, the run of `mlflow run`, or a run to resume."""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import InputError
from pipeline.tracking.locations import check_location, local_folder
from pipeline.tracking.own_files import refuse_links
from pipeline.tracking.secrets import redact_address
from pipeline.tracking.store import NOTE_TAG, experiment_id, open_store, refusing
from pipeline.tracking.views import CHARTS, view_address

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SYSTEM_PREFIX = "system/"


class RunState(NamedTuple):
    """An existing run: its experiment and status, all tags, and the last value of each metric."""

    experiment: str
    status: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def run_state(run_id: str) -> RunState:
    """Reads a run; raises `InputError` if it is missing or deleted, or the store cannot be used."""
    client = open_store()
    with refusing(client.tracking_uri):
        run = _existing(client, run_id)
        experiment = client.get_experiment(run.info.experiment_id).name
        return RunState(experiment, run.info.status, run.data.tags, run.data.metrics)


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A run to which values can be logged.

    `start_time` is in milliseconds since 1970; `logged` contains the steps in the store, for each
    metric; `name`, `metrics` and `tags` are those of a run that existed before.
    """

    client: "MlflowClient"
    run_id: str
    experiment: str
    start_time: int
    logged: dict[str, set[int]]
    experiment_id: str = ""
    name: str = ""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)


def open_run(experiment: str, run_name: str, run_id: str | None) -> OpenRun:
    """Opens the run `run_id` or else MLFLOW_RUN_ID, which `mlflow run` sets, or creates one.

    A resumed run keeps its experiment, name and status. A new run is RUNNING, and its experiment is
    created if missing.
    Raises `InputError` if MLFLOW_RUN_ID is a run that was trained before (inherited by mistake).
    """
    client = open_store()
    made_outside = os.environ.get("MLFLOW_RUN_ID")
    with refusing(client.tracking_uri):
        if run_id is not None:
            return _attach(client, _existing(client, run_id))
        if made_outside:
            run = _untrained(client, made_outside)
            kept = run.info.run_name if _is_chosen(run.info.run_name) else run_name
            client.update_run(made_outside, status="RUNNING", name=kept)
            return dataclasses.replace(_attach(client, run), name=kept)
        run = client.create_run(experiment_id(client, experiment), run_name=run_name)
        info = run.info
        opened = OpenRun(client, info.run_id, experiment, info.start_time, defaultdict(set))
        return dataclasses.replace(opened, experiment_id=info.experiment_id)


def describe_experiment(run: OpenRun, note: str, tags: Mapping[str, str]) -> None:
    """Sets the description and other tags of the run's experiment, if it has no description."""
    with refusing(run.client.tracking_uri):
        if run.client.get_experiment(run.experiment_id).tags.get(NOTE_TAG):
            return
        for name, text in {**tags, NOTE_TAG: note}.items():
            run.client.set_experiment_tag(run.experiment_id, name, text)


def page_addresses(run: OpenRun) -> tuple[str, ...]:
    """Returns the URLs of a run's page and of its experiment's charts, if the store is a server."""
    uri = run.client.tracking_uri
    if not uri.startswith(("http://", "https://")):
        return ()
    server = redact_address(uri).rstrip("/")
    place = f"#/experiments/{run.experiment_id}/runs/{run.run_id}?workflowType=machine_learning"
    return f"{server}/{place}", f"{server}/{view_address(run.experiment_id, CHARTS)}"


def _is_chosen(name: str | None) -> bool:
    """Returns whether the user chose a name, rather than MLflow ("rogue-panda-62")."""
    from mlflow.utils import name_utils

    adjective, _, rest = (name or "").partition("-")
    noun, _, number = rest.partition("-")
    is_drawn = (
        adjective in name_utils._GENERATOR_PREDICATES
        and noun in name_utils._GENERATOR_NOUNS
        and number.isdigit()
    )
    return bool(name) and not is_drawn


def _attach(client: "MlflowClient", run: "Run") -> OpenRun:
    run_id = run.info.run_id
    logged: dict[str, set[int]] = defaultdict(set)
    for key in _scores(run):
        logged[key] = {metric.step for metric in client.get_metric_history(run_id, key)}
    name = client.get_experiment(run.info.experiment_id).name
    return OpenRun(
        client,
        run_id,
        name,
        run.info.start_time,
        logged,
        run.info.experiment_id,
        run.info.run_name or "",
        run.data.metrics,
        run.data.tags,
    )


def _scores(run: "Run") -> list[str]:
    """Returns all metrics except `system/*`, which are many and whose steps never repeat."""
    return [key for key in run.data.metrics if not key.startswith(SYSTEM_PREFIX)]


def _untrained(client: "MlflowClient", run_id: str) -> "Run":
    run = _existing(client, run_id)
    if _scores(run):
        raise InputError(
            f"MLFLOW_RUN_ID is {run_id}, a run that was trained before; expected a run that "
            "`mlflow run` has just created; unset MLFLOW_RUN_ID to create a new run, or continue "
            f"this one with `unroll train --resume {run_id}`"
        )
    return run


def _existing(client: "MlflowClient", run_id: str) -> "Run":
    from mlflow.exceptions import MlflowException

    where = f"in the tracking store {redact_address(client.tracking_uri)}"
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise InputError(f"no run {run_id} {where}; `unroll runs` lists all runs") from error
    if run.info.lifecycle_stage == "deleted":
        raise InputError(
            f"run {run_id} {where} was deleted; restore it with "
            f"`mlflow runs restore --run-id {run_id}`"
        )
    address = run.info.artifact_uri
    check_location(address, run_id, client.tracking_uri)
    if (folder := local_folder(address)) is not None:
        refuse_links(folder)
    return run
