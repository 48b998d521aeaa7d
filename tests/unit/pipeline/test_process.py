"""Garbage collection during imports, and the end of a process whose supervisor was killed."""

import gc
import signal
import subprocess
import sys
import weakref

import pytest

from pipeline.process import SUPERVISOR, defer_garbage_collection, enable_garbage_collection
from tests.harness import command, environment


class Cycle:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def collecting():
    yield
    gc.unfreeze()
    gc.enable()


def test_garbage_collection_is_disabled_during_imports_and_enabled_afterwards():
    with defer_garbage_collection():
        assert not gc.isenabled()
        enable_garbage_collection()
        assert gc.isenabled()
        seen = weakref.ref(Cycle())
        gc.collect()
        assert seen() is None
    gc.collect()
    assert gc.get_freeze_count() > 0


def test_a_process_that_deferred_nothing_is_unchanged():
    before = gc.get_freeze_count()
    enable_garbage_collection()
    assert gc.get_freeze_count() == before


def test_a_verb_that_loads_models_collects(project, monkeypatch):
    """In training garbage may hold tensors."""
    monkeypatch.setattr("pipeline.run.evaluate.evaluate", lambda *_: int(gc.isenabled()))
    (project / "model.ckpt").touch()
    with defer_garbage_collection():
        assert command("test", "--checkpoint", "model.ckpt") == 1


@pytest.mark.parametrize(
    ("variables", "code"),
    [({SUPERVISOR: "1"}, -signal.SIGTERM), ({SUPERVISOR: "1", "LOCAL_RANK": "1"}, 0), ({}, 0)],
    ids=["killed", "rank", "none"],
)
def test_a_training_ends_when_its_supervisor_is_not_there(variables, code):
    script = "import time; from pipeline.process import end_with_supervisor as end; end(); "
    process = subprocess.run(
        [sys.executable, "-c", script + "time.sleep(0.5)"],
        env=environment(**variables),
        timeout=60,
        check=False,
    )
    assert process.returncode == code
