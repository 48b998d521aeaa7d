"""The run that `mlflow run` creates for each command, also for those that train nothing."""

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.store import open_store, refusing

if TYPE_CHECKING:
    from mlflow.entities import Run

_ENTRY = "mlflow.project.entryPoint"
_PATIENCE, _POLL = 60.0, 0.2  # seconds


def discard_project_run(run_id: str) -> None:
    """Starts a process that deletes a run of `mlflow run` in which nothing was trained.

    `mlflow run` sets the status of its run after this process has ended, and fails with a traceback
    if the run is deleted by then, whatever its status is. Other runs are left alone.
    Raises `InputError` if the store cannot be used.
    """
    client = open_store()
    with refusing(client.tracking_uri):
        if not _is_empty(client.get_run(run_id)):
            return
    # -P: a folder named `pipeline` in the current folder would hide ours.
    search = [] if Path.cwd() == Path(__file__).resolve().parents[2] else ["-P"]
    subprocess.Popen(  # noqa: S603 (our own command line)
        [sys.executable, *search, "-m", "pipeline.tracking.project", run_id],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def delete_when_ended(run_id: str, patience: float = _PATIENCE) -> None:
    """Deletes a run of `mlflow run` without metrics when it has a status, or after `patience`.

    Args:
        run_id: Run.
        patience: Maximum number of seconds to wait for the status.
    """
    client = open_store()
    end = time.monotonic() + patience
    while (run := client.get_run(run_id)).info.status == "RUNNING" and time.monotonic() < end:
        time.sleep(_POLL)
    if _is_empty(run):
        client.delete_run(run_id)  # `mlflow gc` removes deleted runs


def _is_empty(run: "Run") -> bool:
    is_ours = _ENTRY in run.data.tags and run.info.lifecycle_stage == "active"
    return is_ours and not run.data.metrics


if __name__ == "__main__":
    delete_when_ended(sys.argv[1])
