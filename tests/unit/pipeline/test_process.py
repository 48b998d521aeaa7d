"""How a process is set up: garbage is not looked for in imports, and is afterwards."""

import gc
import weakref

import pytest

from pipeline.cli.main import main
from pipeline.process import collect_from_now, uncollected


class Cycle:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def collecting():
    yield
    gc.unfreeze()
    gc.enable()


def test_garbage_is_kept_while_a_process_loads_and_collected_afterwards():
    with uncollected():
        assert not gc.isenabled()
        collect_from_now()
        assert gc.isenabled()
        seen = weakref.ref(Cycle())
        gc.collect()
        assert seen() is None
    gc.collect()
    assert gc.get_freeze_count() > 0


def test_who_never_began_is_left_alone():
    before = gc.get_freeze_count()
    collect_from_now()
    assert gc.get_freeze_count() == before


def test_a_verb_that_loads_models_collects(project, monkeypatch):
    """In training garbage may hold tensors."""
    monkeypatch.setattr("pipeline.cli.evaluate.evaluate", lambda *_: int(gc.isenabled()))
    (project / "model.ckpt").touch()
    with uncollected():
        assert main(["test", "--checkpoint", "model.ckpt"]) == 1
