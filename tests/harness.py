"""Runs the command line as a person does, in processes of its own, and reads what MLflow got."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import yaml

from tests.forks import Server

REPOSITORY = Path(__file__).parent.parent


def small_config(corpus: Path, **changes: object) -> dict:
    """A model that trains in seconds; `changes` are dotted keys."""
    config = {
        "seed_everything": 3,
        "precision": "32-true",
        "checkpoint_every": 7,
        "trainer": {"max_epochs": 2, "gradient_clip_val": 1.0, "log_every_n_steps": 1},
        "data": {
            "class_path": "LanguageModelData",
            "init_args": {"corpus": str(corpus), "batch_size": 8, "bptt": 20, "eval_bptt": 50},
        },
        "model": {
            "class_path": "LanguageModel",
            "init_args": {
                "encoder": {
                    "class_path": "LSTM",
                    "init_args": {
                        "input_size": 8,
                        "hidden_size": 12,
                        "num_layers": 2,
                        "dropout": 0.2,
                    },
                },
                "dropout": 0.2,
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
            },
        },
    }
    return _changed(config, changes)


def small_tagger(corpus: Path, **changes: object) -> dict:
    """A tagger that trains in seconds on a folder of column files; `changes` are dotted keys."""
    config = {
        "seed_everything": 3,
        "precision": "32-true",
        "checkpoint_every": 5,
        "trainer": {"max_epochs": 2, "gradient_clip_val": 1.0, "log_every_n_steps": 1},
        "data": {
            "class_path": "TaggingData",
            "init_args": {
                "source": {
                    "class_path": "Columns",
                    "init_args": {"corpus": str(corpus), "features": {"pos": 1}},
                },
                "batch_size": 16,
            },
        },
        "model": {
            "class_path": "Tagger",
            "init_args": {
                "inputs": [
                    {
                        "class_path": "pipeline.inputs.Words",
                        "init_args": {"size": 12, "unknown_chance": 0.1},
                    },
                    {
                        "class_path": "pipeline.inputs.Column",
                        "init_args": {"column": "pos", "size": 4},
                    },
                ],
                "encoder": {
                    "class_path": "LSTM",
                    "init_args": {
                        "input_size": 16,
                        "hidden_size": 10,
                        "bidirectional": True,
                        "num_layers": 2,
                        "dropout": 0.2,
                    },
                },
                "decoder": "pipeline.decoders.CRF",
                "dropout": 0.2,
                "variational": True,
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
            },
        },
    }
    return _changed(config, changes)


def small_classifier(**changes: object) -> dict:
    """A classifier that trains in seconds on the built-in reviews; `changes` are dotted keys."""
    config = {
        "seed_everything": 3,
        "precision": "32-true",
        "checkpoint_every": 5,
        "trainer": {"max_epochs": 2, "gradient_clip_val": 1.0, "log_every_n_steps": 1},
        "data": {
            "class_path": "SentimentData",
            "init_args": {
                "source": {"class_path": "BuiltinReviews", "init_args": {"num_train": 301}},
                "batch_size": 16,
                "sampling": "balanced",
            },
        },
        "model": {
            "class_path": "SentenceClassifier",
            "init_args": {
                "encoder": {
                    "class_path": "LSTM",
                    "init_args": {"input_size": 16, "hidden_size": 10, "bidirectional": True},
                },
                "pooling": "pipeline.pooling.Attention",
                "dropout": 0.2,
                "word_dropout": 0.1,
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
            },
        },
    }
    return _changed(config, changes)


def _changed(config: dict, changes: dict) -> dict:
    for key, value in changes.items():
        place = config
        *path, last = key.split(".")
        for part in path:
            place = place[part]
        place[last] = value
    return config


def write_config(folder: Path, config: dict, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": path, "PATH": binaries, **more}


_servers: list[Server] = []


def server() -> Server:
    if not (_servers and _servers[-1].is_alive):
        _servers[:] = [Server(environment())]
    return _servers[-1]


def unroll(
    *arguments: str, launcher: tuple[str, ...] = (), timeout: float = 300, **more: str
) -> subprocess.CompletedProcess:
    """Runs `python -m pipeline ...` in the current folder.

    Without a `launcher`, which is what to put before `-m`, the process is forked from one that has
    the libraries (`tests/forks.py`), where that is safe and makes no difference.
    """
    acts_on_start = any(name.startswith(("PYTHON", "OMP_", "MKL_")) for name in more)
    if launcher or acts_on_start or not sys.platform.startswith("linux"):
        command = [*(launcher or (sys.executable,)), "-m", "pipeline", *arguments]
        return subprocess.run(
            command, env=environment(**more), capture_output=True, text=True, timeout=timeout
        )
    _put_store()
    given = [str(part) for part in arguments]
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder) / "output", Path(folder) / "errors")
        status = server().run(given, environment(**more), files, timeout)
        texts = [path.read_text(encoding="utf-8") for path in files]
    return subprocess.CompletedProcess(arguments, status, *texts)


def _put_store() -> None:
    """Copies the empty store, which the process would take seconds to make, to where it would."""
    empty, place = os.environ.get("UNROLL_TEST_STORE"), Path("mlflow.db")
    if empty and not place.exists() and "MLFLOW_TRACKING_URI" not in os.environ:
        shutil.copyfile(empty, place)


def start(*arguments: str, **more: str) -> subprocess.Popen:
    """Starts `python -m pipeline ...` in a process group of its own."""
    _put_store()
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A suite that was itself started in the background would pass on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition never came true")
        time.sleep(0.02)


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


def history(folder: Path, run_id: str, key: str) -> list[tuple[int, float]]:
    points = client(folder).get_metric_history(run_id, key)
    return sorted((point.step, point.value) for point in points)
