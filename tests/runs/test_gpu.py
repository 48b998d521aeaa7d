"""Whole trainings on a GPU: bit-exact resuming, and steps in which the host does not wait."""

import os
import warnings

import pytest
import torch

from tasks.language_model import LanguageModel
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger
from tests.configs import part, small_classifier, small_config, small_tagger, write_config
from tests.harness import fit, history

pytestmark = pytest.mark.gpu
GPU = ("--trainer.accelerator=gpu", "--trainer.devices=1")
PRECISIONS = ("32-true", "tf32", "bf16-mixed", "16-mixed")


@pytest.fixture(params=["lm", "tagging", "sentiment"])
def task(request, corpus, opinions):
    """A task with its configuration."""
    return {
        "lm": (LanguageModel, small_config(corpus, **{"data.init_args.bptt": 10})),
        "tagging": (Tagger, small_tagger(opinions)),
        "sentiment": (SentenceClassifier, small_classifier()),
    }[request.param]


@pytest.fixture
def deterministic():
    before = os.environ["CUBLAS_WORKSPACE_CONFIG"]  # by tests/conftest.py
    yield ("--trainer.deterministic=true",)
    torch.use_deterministic_algorithms(False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == before


@pytest.mark.parametrize("precision", PRECISIONS)
def test_deterministic_training_resumes_bit_exactly(
    project, task, monkeypatch, deterministic, precision
):
    config = write_config(project, task[1])
    flags = ["--config", config, *GPU, *deterministic, f"--precision={precision}"]
    monitor = {"lm": "val/perplexity", "tagging": "val/f1", "sentiment": "val/accuracy"}
    keys = ("train/loss", "train/grad_norm", monitor[task[0].experiment])
    runs = {}
    for name, stop in (("whole", -1), ("again", -1), ("broken", 17)):
        limit = [f"--trainer.max_steps={stop}", "--checkpoint_every=1"]
        runs[name] = fit(project / name, monkeypatch, *flags, *limit)
    fit(project / "broken", monkeypatch, "--resume", runs["broken"], "--trainer.max_steps=-1")
    whole, again, broken = (
        {key: history(project / name, run, key) for key in keys} for name, run in runs.items()
    )
    assert len(whole["train/loss"]) > 17
    assert again == whole
    assert broken == whole


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_host_waits_every_n_steps_only(project, task, monkeypatch, precision):
    counts = []
    inner = task[0].training_step

    def training_step(module, batch, batch_idx):
        counts.append(0)
        torch.cuda.set_sync_debug_mode("warn")
        return inner(module, batch, batch_idx)

    def showwarning(message, *_, **__):
        counts[-1] += "synchronizing CUDA" in str(message)

    monkeypatch.setattr(task[0], "training_step", training_step)
    config = task[1]
    config["trainer"] |= {"max_epochs": 1, "log_every_n_steps": 6}
    config["checkpoint_every"] = 13
    config["model"]["init_args"]["optimizer"] = part("torch.optim.Adam", lr=0.01)
    path = write_config(project, config)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = showwarning
        try:
            fit(project / "run", monkeypatch, "--config", path, *GPU, f"--precision={precision}")
        finally:
            torch.cuda.set_sync_debug_mode("default")
    last = len(counts)
    busy = {step for step, count in enumerate(counts, start=1) if count and step > 5}
    # Logs, checkpoints (one update later if a validation follows) and the end of the epoch.
    assert last > 13
    assert busy <= {*range(6, last, 6), *range(13, last, 13), last}
    assert busy  # the counter works
