"""TensorFloat-32 in a whole training: only where it was asked for, and never in evaluation."""

import pytest
import torch

from pipeline.run import precision
from tasks.language_model import LanguageModel
from tests.configs import small_config, write_config
from tests.harness import command, only_run


@pytest.fixture
def seen(monkeypatch):
    """Records (kind of step, whether matrix products, whether cuDNN may use TensorFloat-32)."""
    found = set()

    def record(name):
        inner = getattr(LanguageModel, name)

        def step(task, window, batch_idx):
            backends = torch.backends
            found.add((name, backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32))
            return inner(task, window, batch_idx)

        monkeypatch.setattr(LanguageModel, name, step)

    for name in ("training_step", "validation_step", "test_step", "predict_step"):
        record(name)
    return found


@pytest.mark.parametrize("requested", ["32-true", "tf32"])
def test_tf32(project, corpus, monkeypatch, seen, requested):
    monkeypatch.setattr(precision, "_device", lambda accelerator: "cuda")
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    assert command("train", "--config", config, f"--precision={requested}") == 0
    run = only_run(project)
    assert run.data.tags["precision"] == requested
    for verb in ("validate", "predict"):
        output = ["--output", project / "out.txt"] if verb == "predict" else []
        assert command(verb, "--run", run.info.run_id, *output) == 0
    evaluation = {(f"{kind}_step", False, False) for kind in ("validation", "test", "predict")}
    is_allowed = requested == "tf32"
    assert seen == {("training_step", is_allowed, is_allowed), *evaluation}
    assert torch.backends.cudnn.allow_tf32  # torch's own default, restored
