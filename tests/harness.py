"""Runs the command line as a person does, in processes of its own, and reads what MLflow got."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import psutil
import torch

from pipeline.__main__ import ENTRY_POINT
from pipeline.cli.main import main
from tests.forks import Server

TIMEOUT = 120.0  # seconds for a command or a condition
DDP = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")
REPOSITORY = Path(__file__).parent.parent


def command(*arguments: object) -> int:
    """Runs `unroll ARGUMENTS` in this process and returns its exit code."""
    return main([str(argument) for argument in arguments], ENTRY_POINT)


def error_of(capsys, *arguments: object) -> str:
    """Runs a command that fails with exit code 2 and returns what it writes to stderr."""
    capsys.readouterr()
    assert command(*arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def scores(text: str) -> dict[str, float]:
    """The scores in the output of a command."""
    rows = [line.split() for line in text.splitlines() if "/" in line]
    return {row[0]: float(row[1]) for row in rows}


def metrics_of_test(run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if name.startswith("test/")}


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": path, "PATH": binaries, **more}


def fit(folder: Path, monkeypatch, *arguments: object) -> str:
    """Runs `unroll fit ARGUMENTS` in a folder, new or not, and returns the id of its only run."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    assert command("fit", *arguments) == 0
    return only_run(folder).info.run_id


def train(folder: Path, config: Path, monkeypatch, *flags: str):
    """Runs `unroll train` in a process of its own and a new folder and returns its only run."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    done = unroll("train", "--config", str(config), *flags)
    assert done.returncode == 0, done.stderr
    return only_run(folder)


_servers: list[Server] = []


def server() -> Server:
    if not (_servers and _servers[-1].is_alive):
        _servers[:] = [Server(environment())]
    return _servers[-1]


def unroll(
    *arguments: str, launcher: tuple[str, ...] = (), timeout: float = TIMEOUT, **more: str
) -> subprocess.CompletedProcess:
    """Runs `python -m pipeline ...` in the current folder.

    Without a `launcher`, which is what to put before `-m`, the process is forked from one that has
    the libraries (`tests/forks.py`), where that is safe and makes no difference.
    """
    acts_on_start = any(name.startswith(("PYTHON", "OMP_", "MKL_")) for name in more)
    if launcher or acts_on_start or not sys.platform.startswith("linux"):
        command = [*(launcher or (sys.executable,)), "-m", "pipeline", *arguments]
        return execute(command, timeout, env=environment(**more))
    _put_store()
    given = [str(part) for part in arguments]
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder) / "output", Path(folder) / "errors")
        status = server().run(given, environment(**more), files, timeout)
        texts = [path.read_text(encoding="utf-8") for path in files]
    return subprocess.CompletedProcess(arguments, status, *texts)


def execute(
    command: Sequence[str], timeout: float = TIMEOUT, **more: Any
) -> subprocess.CompletedProcess:
    """Runs a command and captures its output as text.

    Like `subprocess.run`, which after a timeout would wait, without limit, for the processes that
    the command has started: they share its output. Here they are killed.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, **more,
    )  # fmt: skip
    try:
        outputs = process.communicate(timeout=timeout)
    except BaseException:
        kill(process)
        raise
    return subprocess.CompletedProcess(command, process.returncode, *outputs)


def kill(process: subprocess.Popen) -> None:
    """Kills a process, all that it has started and its process group, and reads its output."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in psutil.Process(process.pid).children(recursive=True):
            member.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError):  # ValueError: read before
        process.communicate(timeout=30)


def _put_store() -> None:
    """Copies the empty store, which the process would take seconds to make, to where it would."""
    empty, place = os.environ.get("UNROLL_TEST_STORE"), Path("mlflow.db")
    if empty and not place.exists() and "MLFLOW_TRACKING_URI" not in os.environ:
        shutil.copyfile(empty, place)


started: list[subprocess.Popen] = []  # by the current test; what is left of them is killed


def start(*arguments: str, **more: str) -> subprocess.Popen:
    """Starts `python -m pipeline ...` in a process group of its own, which ends with the test."""
    _put_store()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A suite that was itself started in the background would pass on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    started.append(process)
    return process


def wait_for(condition, seconds: float = TIMEOUT) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition never came true")
        time.sleep(0.02)


def wait_for_checkpoint(process: subprocess.Popen, folder: Path) -> None:
    """Waits until a training has saved its first checkpoint; fails if the process ends."""
    paths = (folder / "outputs").glob
    wait_for(lambda: process.poll() is not None or any(paths("*/checkpoints/last.ckpt")))
    assert process.poll() is None, process.communicate(timeout=30)[0]


def kill_after(num_saves: int, folder: Path, config: Path, monkeypatch, *flags: str) -> str:
    """Trains in a new folder, kills all processes after some saves, and returns the run id."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    process = start("train", "--config", str(config), *flags)
    stamps = set()

    def has_saved_often_enough():
        paths = (folder / "outputs").glob("*/checkpoints/last.ckpt")
        stamps.update(path.stat().st_mtime_ns for path in paths)
        return len(stamps) >= num_saves or process.poll() is not None

    wait_for(has_saved_often_enough)
    assert process.poll() is None, process.communicate(timeout=30)[0]
    kill(process)
    return only_run(folder).info.run_id


def assert_resumes(project: Path, config: Path, monkeypatch, flags, keys, num_saves=6):
    """A killed and resumed training has exactly the metrics of an uninterrupted one."""
    if flags:
        expected = train(project / "whole", config, monkeypatch, *flags).info.run_id
    else:
        (project / "whole").mkdir()
        monkeypatch.chdir(project / "whole")
        assert command("train", "--config", config) == 0
        expected = only_run(project / "whole").info.run_id
    run_id = kill_after(num_saves, project / "broken", config, monkeypatch, *flags)
    if flags:
        done = unroll("train", "--resume", run_id[:8])
        assert done.returncode == 0, done.stderr
    else:
        assert command("train", "--resume", run_id[:8]) == 0
    run = only_run(project / "broken")
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    for key in keys:
        found = history(project / "broken", run_id, key)
        assert found == history(project / "whole", expected, key), key


def assert_traces(project: Path, runs: dict, keys, **tolerances: float) -> None:
    """Two runs, each in the folder of its name, have the same steps and nearly the same values."""
    for key in keys:
        traces = [history(project / name, run.info.run_id, key) for name, run in runs.items()]
        assert [step for step, _ in traces[0]] == [step for step, _ in traces[1]], key
        values = [torch.tensor([value for _, value in trace]) for trace in traces]
        torch.testing.assert_close(*values, **tolerances, msg=key)


def client(folder: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


def all_runs(folder: Path) -> list:
    tracker = client(folder)
    return [
        run
        for experiment in tracker.search_experiments()
        for run in tracker.search_runs([experiment.experiment_id])
    ]


def only_run(folder: Path):
    runs = all_runs(folder)
    assert len(runs) == 1, [(run.info.run_name, run.info.status) for run in runs]
    return runs[0]


def everything(folder: Path) -> dict:
    """All that the store has of each run, and the files of all with their times."""
    found: dict = {
        run.info.run_id: (
            dict(run.info),
            run.data.to_dictionary(),
            {key: history(folder, run.info.run_id, key) for key in run.data.metrics},
        )
        for run in all_runs(folder)
    }
    paths = [path for path in (folder / "outputs").rglob("*") if path.is_file()]
    files = {path: path.stat().st_mtime_ns for path in paths if path.name != "lock"}
    return {**found, "files": files}


def history(folder: Path, run_id: str, key: str) -> list[tuple[int, float]]:
    """Steps and values of a metric; of a single value what the last part of the training wrote."""
    points = client(folder).get_metric_history(run_id, key)
    if key.startswith("best/"):
        points = sorted(points, key=lambda point: point.timestamp)[-1:]
    return sorted((point.step, point.value) for point in points)
