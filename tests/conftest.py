"""Fixtures that several tests share: a small corpus, a project folder, the real corpora."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from datamodules.language_model.builtin import generate_sentences
from datamodules.tagging.builtin import generate_opinions
from pipeline.tracking import store as tracking_store
from pipeline.tracking.logger import RunTracker
from tests.timeouts import (  # noqa: F401  hooks of pytest
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_timeout_cancel_timer,
    pytest_timeout_set_timer,
)

REPOSITORY = Path(__file__).parent.parent

# A worker for each core: their threads, and those of the processes that they start, would only wait
# for each other.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
# cuBLAS reads it once, when a process computes its first product on a GPU.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """An SQLite store without runs: making one takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        tracking_store.open_store()
    return folder / "mlflow.db"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNROLL_CACHE", str(folder))
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch, empty_database):
    """An empty working folder with the environment of a fresh shell.

    The store is copied there instead of made; `tests/unit/pipeline/tracking/test_store.py` and
    processes with a launcher of their own make theirs.
    """
    copy = partial(shutil.copyfile, empty_database)
    monkeypatch.setattr(tracking_store, "_create_sqlite", copy)
    for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "UNROLL_OUTPUTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UNROLL_TEST_STORE", str(empty_database))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(project):
    """A client of an empty store in the current folder."""
    return tracking_store.open_store()


@pytest.fixture
def start(store):
    """Starts trackers and finishes them after the test."""
    started = []

    def start(**changes):
        given = {"experiment": "lm/small", "run_name": "lstm-2x8-abcdef-s1", **changes}
        started.append(RunTracker.start(**given))
        return started[-1]

    yield start
    for tracker in started:
        tracker.finish("FINISHED")


@pytest.fixture
def corpus(tmp_path):
    """A folder with a few thousand tokens of the built-in grammar."""
    folder = tmp_path / "corpora" / "small"
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate([("train", 500), ("valid", 60), ("test", 60)]):
        lines = [" ".join(sentence) for sentence in generate_sentences(seed, count)]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def opinions(tmp_path):
    """A folder of column files with a few hundred sentences of the built-in opinions."""
    folder = tmp_path / "corpora" / "opinions"
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate([("train", 300), ("valid", 60), ("test", 61)]):
        with (folder / f"{split}.txt").open("w", encoding="utf-8") as file:
            for sentence in generate_opinions(seed, count):
                rows = zip(sentence.tokens, *sentence.columns, sentence.tags, strict=True)
                file.writelines("\t".join(row) + "\n" for row in rows)
                file.write("\n")
    return folder


@pytest.fixture
def trees(tmp_path):
    """A folder of small trees, as the Stanford Sentiment Treebank has them."""
    folder = tmp_path / "corpora" / "trees"
    folder.mkdir(parents=True)
    for split, count in (("train", 60), ("dev", 20), ("test", 20)):
        lines = [
            f"({label} ({label} {word}) (2 ({label} film{i}) (2 .)))"
            for i in range(count)
            for label, word in ((4, "good"), (0, "bad"))
        ]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def real_data():
    """The folder of real corpora; tests that need it are skipped without."""
    folder = os.environ.get("UNROLL_DATA")
    if not folder:
        pytest.skip("UNROLL_DATA is not set")
    return Path(folder)
