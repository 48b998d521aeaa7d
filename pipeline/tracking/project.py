"""The run that `mlflow run` creates for each command, also for those that train nothing."""

import os

from pipeline.tracking.store import open_store, refusing

_RUN, _ENTRY = "MLFLOW_RUN_ID", "mlflow.project.entryPoint"


def discard_project_run() -> None:
    """Deletes the run that `mlflow run` has created for this command, unless it has metrics.

    Such a run would stay empty next to the runs of trainings. `mlflow gc` removes deleted runs.
    """
    run_id = os.environ.get(_RUN)
    if not run_id:
        return
    client = open_store()
    with refusing(client.tracking_uri):
        run = client.get_run(run_id)
        is_empty = not run.data.metrics and run.info.status == "RUNNING"
        if is_empty and _ENTRY in run.data.tags and run.info.lifecycle_stage == "active":
            client.set_terminated(run_id, "FINISHED")  # `mlflow run` could not, once deleted
            client.delete_run(run_id)
