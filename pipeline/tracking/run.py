"""Opens the MLflow run of a training: a new run, the run of `mlflow run`, or a run to resume."""

import dataclasses
import os
from collections import defaultdict
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.tracking.secrets import redact_address
from pipeline.tracking.store import experiment_id, open_store, refusing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SYSTEM_PREFIX = "system/"


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A run with status RUNNING.

    `start_time` is in milliseconds since 1970; `logged` contains the steps in the store, for each
    metric.
    """

    client: "MlflowClient"
    run_id: str
    experiment: str
    start_time: int
    logged: dict[str, set[int]]


def open_run(experiment: str, run_name: str, run_id: str | None) -> OpenRun:
    """Opens the run `run_id` or else MLFLOW_RUN_ID, which `mlflow run` sets, or creates one.

    A resumed run keeps its experiment and name. A new run's experiment is created if missing.
    Raises `InputError` if MLFLOW_RUN_ID is a run that was trained before (inherited by mistake).
    """
    client = open_store()
    made_outside = os.environ.get("MLFLOW_RUN_ID")
    with refusing(client.tracking_uri):
        if run_id is not None:
            return _attach(client, _existing(client, run_id))
        if made_outside:
            opened = _attach(client, _untrained(client, made_outside))
            client.update_run(made_outside, name=run_name)
            return opened
        run = client.create_run(experiment_id(client, experiment), run_name=run_name)
        return OpenRun(client, run.info.run_id, experiment, run.info.start_time, defaultdict(set))


def _attach(client: "MlflowClient", run: "Run") -> OpenRun:
    run_id = run.info.run_id
    logged: dict[str, set[int]] = defaultdict(set)
    for key in _scores(run):
        logged[key] = {metric.step for metric in client.get_metric_history(run_id, key)}
    client.update_run(run_id, status="RUNNING")
    name = client.get_experiment(run.info.experiment_id).name
    return OpenRun(client, run_id, name, run.info.start_time, logged)


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
    return run
