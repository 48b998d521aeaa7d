"""Garbage collection is disabled during imports and enabled afterwards."""

import gc
import weakref

import pytest

from pipeline.process import defer_garbage_collection, enable_garbage_collection
from tests.harness import command


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
