import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.tracking import store as tracking_store
from pipeline.tracking.store import experiment_id, open_store, tracking_uri
from tests.examples import refuses

REPOSITORY = Path(__file__).parents[4]
OPEN_TOGETHER = """
import multiprocessing, sys
import mlflow
from pipeline.tracking.run import open_run

fork = multiprocessing.get_context("fork")  # imported once: what races is the opening
barrier = fork.Barrier(6)

def work(index):
    barrier.wait(60)
    run = open_run("lm/small", f"run-{index}", None)
    run.client.log_metric(run.run_id, "train/loss", 1.0, step=0)

processes = [fork.Process(target=work, args=(index,)) for index in range(6)]
for process in processes:
    process.start()
for process in processes:
    process.join(60)
print([process.exitcode for process in processes])
"""


def python(program):
    """Runs a program and returns its stdout and stderr."""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY), "HOME": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return ended.stdout, ended.stderr


def test_address(project, monkeypatch):
    assert tracking_uri() == f"sqlite:///{project}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert tracking_uri() == f"sqlite:///{project}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.org/mlflow")
    assert tracking_uri() == "https://example.org/mlflow"


def test_a_process_that_never_completes_the_file_is_waited_for_a_limited_time(project, monkeypatch):
    monkeypatch.setattr(tracking_store, "LOCK_WAIT", 0.1)
    with (project / "mlflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with refuses(
            f"another process has held {project}/mlflow.db.lock for 0 seconds without completing "
            f"{project}/mlflow.db; end that process and start again"
        ):
            open_store()
    assert not (project / "mlflow.db").exists()
    open_store()


def test_six_processes_at_once_on_a_new_file(project):
    (project / "mlflow.db.unfinished").write_text("left by a process that was killed")
    # All succeed without output.
    assert python(OPEN_TOGETHER) == ("[0, 0, 0, 0, 0, 0]\n", "")
    client = open_store()
    names = {e.name: e.experiment_id for e in client.search_experiments()}
    assert set(names) == {"Default", "lm/small"}
    runs = client.search_runs([names["lm/small"]])
    assert {run.info.run_name for run in runs} == {f"run-{index}" for index in range(6)}
    folder = project / "mlruns" / "lm" / "small"
    assert all(run.info.artifact_uri.startswith(folder.as_uri()) for run in runs)
    assert not (project / "mlflow.db.unfinished").exists()


def test_warnings_of_libraries_about_each_other_are_kept_from_the_terminal(project):
    program = (
        "import warnings; warnings.simplefilter('default'); "  # as a library may do
        "from pipeline.tracking.run import open_run; open_run('lm/small', 'name', None); "
        "warnings.warn('one of ours')"
    )
    out, err = python(program)
    assert (out, err) == ("", "<string>:1: UserWarning: one of ours\n")


def test_naming_and_opening_are_cheap_to_import():
    program = (
        "import sys; from pipeline.tracking import naming, provenance, store, table; "
        "print({'mlflow', 'torch', 'lightning', 'rich'} & set(sys.modules))"
    )
    assert python(program) == ("set()\n", "")


def test_what_is_no_database(project):
    (project / "mlflow.db").write_text("this is not a database, but a text")
    with refuses(
        f"{project}/mlflow.db is not an SQLite database, as expected for the tracking store; move "
        "the file away, or set MLFLOW_TRACKING_URI to another store"
    ):
        open_store()


def test_folder_that_cannot_be_made(project, monkeypatch):
    (project / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///file/mlflow.db")
    with pytest.raises(InputError, match=r"^cannot use tracking store .*: .*; check it, or"):
        open_store()


def test_deleted_experiment(store):
    deleted = experiment_id(store, "lm/small")
    store.delete_experiment(deleted)
    with refuses(
        "experiment lm/small was deleted; restore it with "
        f"`mlflow experiments restore --experiment-id {deleted}`"
    ):
        experiment_id(store, "lm/small")


def test_experiment_that_another_process_creates_meanwhile(store, monkeypatch):
    first = experiment_id(store, "lm/small")
    real, answers = type(store).get_experiment_by_name, [None]  # as if it were not there yet
    monkeypatch.setattr(
        type(store),
        "get_experiment_by_name",
        lambda self, name: answers.pop() if answers else real(self, name),
    )
    assert experiment_id(store, "lm/small") == first
