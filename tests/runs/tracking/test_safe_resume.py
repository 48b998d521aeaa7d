"""Resuming a run that is complete, cannot be resumed, is continued in a new run, or was moved."""

import shutil
import time

import pytest
import torch
import yaml

from tests.configs import small_config, write_config
from tests.harness import (
    all_runs,
    client,
    command,
    error_of,
    everything,
    fit,
    history,
    only_run,
)

KEYS = ("train/loss", "val/perplexity", "tokens_seen")


@pytest.fixture
def trained(project, corpus, monkeypatch, capsys):
    """A small training of two epochs that is finished and tested."""
    config = write_config(project, small_config(corpus))
    assert command("train", "--config", config) == 0
    capsys.readouterr()
    return project


def test_a_complete_run_is_not_changed(trained, capsys):
    before, run_id = everything(trained), only_run(trained).info.run_id
    steps = history(trained, run_id, "val/perplexity")[-1][0]
    said = f"is finished: 2 epochs, {steps} updates and a test; nothing is left to do"
    for verb, *flags in (
        ("train",),
        ("fit",),
        ("train", "--trainer.max_epochs=2"),
        ("train", "--trainer.max_epochs=1"),
        ("fit", "--trainer.max_steps=3"),
    ):
        assert command(verb, "--resume", run_id, *flags) == 0
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.out == ""
        assert everything(trained) == before


def test_an_untested_run_is_tested_and_refuses_fewer_epochs(project, corpus, monkeypatch, capsys):
    config = write_config(project, small_config(corpus))
    run_id = fit(project, monkeypatch, "--config", config)
    before = everything(project)
    error = error_of(capsys, "train", "--resume", run_id, "--trainer.max_epochs=1")
    assert "--trainer.max_epochs=1: the run is in epoch 2 already; give 2 or more" in error
    error = error_of(capsys, "train", "--resume", run_id, "--trainer.max_steps=1")
    assert "--trainer.max_steps=1: the run has made" in error
    assert everything(project) == before
    assert command("train", "--resume", run_id) == 0
    assert "test/perplexity" in only_run(project).data.metrics


def test_a_refused_resume_changes_nothing(trained, corpus, capsys):
    """The corpus has changed, which is noticed when the checkpoint is read."""
    before, run_id = everything(trained), only_run(trained).info.run_id
    text = (corpus / "train.txt").read_text()
    (corpus / "train.txt").write_text(text.replace("the", "these"))
    error_of(capsys, "train", "--resume", run_id, "--trainer.max_epochs=3")
    assert everything(trained) == before


def test_fork(trained, corpus, capsys, tmp_path, monkeypatch):
    """A forked run has the losses of one that is resumed, and leaves the other one unchanged."""
    before, parent = everything(trained), only_run(trained)
    run_id = parent.info.run_id
    flags = ["--fork", "--trainer.max_epochs=3"]
    assert command("train", "--resume", run_id, *flags) == 0
    [fork] = [run for run in all_runs(trained) if run.info.run_id != run_id]
    assert fork.data.tags["mlflow.parentRunId"] == run_id
    assert fork.info.run_name == f"{parent.info.run_name}-fork"
    assert (fork.info.status, fork.info.experiment_id) == ("FINISHED", parent.info.experiment_id)
    old = client(trained).get_run(run_id)
    assert (dict(old.info), old.data.to_dictionary()) == before[run_id][:2]
    assert command("train", "--resume", run_id, "--trainer.max_epochs=3") == 0
    for key in KEYS:
        expected = dict(history(trained, run_id, key))
        found = dict(history(trained, fork.info.run_id, key))
        assert found.items() <= expected.items(), key
        assert max(found) == max(expected), key
    assert "--fork needs --resume RUN" in error_of(capsys, "train", "--fork")


def test_resumed_on_another_machine(project, corpus, monkeypatch, capsys):
    """From the store alone, with the losses of an uninterrupted run."""
    config = write_config(project, small_config(corpus))
    expected = fit(project / "whole", monkeypatch, "--config", config)
    here = project / "here"
    flags = ["--trainer.max_steps=9", "--upload_last=true"]
    run_id = fit(here, monkeypatch, "--config", config, *flags)
    shutil.rmtree(here / "outputs")
    name = only_run(here).info.run_name
    assert command("fit", "--resume", name, "--trainer.max_steps=-1") == 0
    for key in KEYS:
        found = history(here, run_id, key)
        assert found == history(project / "whole", expected, key), key
    assert only_run(here).info.run_name == name


def test_files_that_are_nowhere(trained, capsys):
    run_id = only_run(trained).info.run_id
    shutil.rmtree(trained / "outputs")
    error = error_of(capsys, "train", "--resume", run_id)
    assert f"no files of a run '{run_id}' are in this folder's outputs/, and the tracking" in error
    assert "store has no last.ckpt of it (it has one after --upload_last)" in error
    client(trained).update_run(run_id, status="RUNNING")
    client(trained).log_metric(run_id, "tokens_seen", 1, timestamp=int(time.time() * 1000), step=99)
    assert f"run {run_id} is being trained" in error_of(capsys, "train", "--resume", run_id)
    client(trained).delete_run(run_id)
    assert f"nor in the tracking store (run {run_id} was deleted" in error_of(
        capsys, "train", "--resume", run_id
    )


def test_a_deleted_run(trained, capsys):
    run_id = only_run(trained).info.run_id
    client(trained).delete_run(run_id)
    for flags in ([], ["--fork"], ["--trainer.max_epochs=3"]):
        error = error_of(capsys, "train", "--resume", run_id, *flags)
        assert f"run {run_id} in the tracking store" in error
        assert "was deleted; restore it with `mlflow runs restore --run-id" in error


def test_a_failed_run_that_is_resumed_changes_its_configuration(trained):
    """The settings of a resume are stored when it trains, and only then."""
    run_id = only_run(trained).info.run_id
    file = trained / "outputs" / run_id / "config.yaml"
    assert command("train", "--resume", run_id, "--trainer.max_epochs=3") == 0
    assert yaml.safe_load(file.read_text())["trainer"]["max_epochs"] == 3
    last = torch.load(file.parent / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 2
