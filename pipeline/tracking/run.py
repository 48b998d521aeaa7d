"""Opens the one MLflow run of a training: a new one, `mlflow run`'s, or the one to go on with."""

import dataclasses
import os
from collections import defaultdict
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.tracking.store import experiment_id, open_store, refusing, shown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SYSTEM_PREFIX = "system/"


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A run that is RUNNING.

    `logged` has the steps that each metric has in the store; `start_time` is in milliseconds.
    """

    client: "MlflowClient"
    run_id: str
    experiment: str
    start_time: int
    logged: dict[str, set[int]]


def open_run(experiment: str, run_name: str, run_id: str | None) -> OpenRun:
    """Opens a run.

    Args:
        experiment: The experiment of a new run, created if need be.
        run_name: The name of a run that is new, or that `mlflow run` made.
        run_id: The run to go on with; its experiment and name stay. If omitted, MLFLOW_RUN_ID,
            which `mlflow run` sets; if that is not set either, a run is created.

    Raises:
        InputError: The store cannot be used, or the run does not exist, or MLFLOW_RUN_ID names one
            that was trained before: it was inherited by mistake.
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
    """Returns the metrics but those of the system, which are many and whose steps never repeat."""
    return [key for key in run.data.metrics if not key.startswith(SYSTEM_PREFIX)]


def _untrained(client: "MlflowClient", run_id: str) -> "Run":
    run = _existing(client, run_id)
    if _scores(run):
        raise InputError(
            f"MLFLOW_RUN_ID names the run {run_id}, which has been trained already, where one that "
            "`mlflow run` has just made was expected; unset MLFLOW_RUN_ID to train in a new run, "
            f"or go on with that one with `unroll train --resume {run_id}`"
        )
    return run


def _existing(client: "MlflowClient", run_id: str) -> "Run":
    from mlflow.exceptions import MlflowException

    where = f"in the tracking store {shown(client.tracking_uri)}"
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise InputError(
            f"there is no run {run_id} {where}; `unroll runs` lists those that there are"
        ) from error
    if run.info.lifecycle_stage == "deleted":
        raise InputError(
            f"the run {run_id} {where} was deleted; bring it back with "
            f"`mlflow runs restore --run-id {run_id}`"
        )
    return run
