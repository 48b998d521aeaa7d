"""A tagger through the command line: its run, its scores, and what must not change them."""

import os
import signal
from pathlib import Path

import pytest
import torch
from seqeval.metrics import accuracy_score, f1_score

from pipeline.checkpoints.folder import RunFolder
from pipeline.metrics.items import ItemScores
from tests.configs import part, small_tagger, write_config
from tests.harness import (
    DDP,
    all_runs,
    assert_resumes,
    assert_traces,
    client,
    command,
    error_of,
    everything,
    metrics_of_test,
    scores,
    start,
    train,
    unroll,
    wait_for,
)

KEYS = ("train/loss", "val/f1", "val/f1_proportional", "test/f1", "test/accuracy", "tokens_seen")


def test_one_run_with_its_report_and_scores_that_can_be_had_again(project, opinions, monkeypatch):
    config = write_config(project, small_tagger(opinions))
    run = train(project / "here", config, monkeypatch)
    assert run.info.status == "FINISHED"
    names = {
        item.path for item in client(project / "here").list_artifacts(run.info.run_id, "report")
    }
    assert {"report/seqeval.txt", "report/errors.txt", "report/confusion.png"} <= names
    text = client(project / "here").download_artifacts(run.info.run_id, "report/items.json")
    items = ItemScores.from_json(Path(text).read_text())
    assert float(items.score(items.values.sum(axis=1))) == pytest.approx(
        run.data.metrics["test/f1"]
    )
    kept = {item.path for item in client(project / "here").list_artifacts(run.info.run_id)}
    assert {"vocabulary.txt", "tags.txt", "corpus.txt", "config.yaml"} <= kept
    again = unroll("test", "--run", run.info.run_id, "--data.eval_batch_tokens=64")
    found = scores(again.stdout)
    tested = metrics_of_test(run)
    assert found == pytest.approx(tested, rel=1e-9)
    predicted = unroll("predict", "--run", run.info.run_id)
    assert predicted.returncode == 0, predicted.stderr
    blocks = [block.splitlines() for block in predicted.stdout.strip().split("\n\n")]
    rows = [[line.split("\t") for line in block] for block in blocks]
    text = (opinions / "test.txt").read_text().strip().split("\n\n")
    assert [["\t".join(row[:3]) for row in block] for block in rows] == [
        block.splitlines() for block in text
    ]
    gold, tags = ([[row[column] for row in block] for block in rows] for column in (2, 3))
    assert tested["test/f1"] == pytest.approx(f1_score(gold, tags), rel=1e-12)
    assert tested["test/accuracy"] == pytest.approx(accuracy_score(gold, tags), rel=1e-12)


def test_two_processes_are_one(project, opinions, monkeypatch):
    """The same losses to rounding; the same checkpoint has exactly the same scores on both."""
    changes = {
        "model.init_args.dropout": 0.0,
        "model.init_args.encoder.init_args.dropout": 0.0,
        "model.init_args.inputs": [part("pipeline.inputs.Words", size=16)],
        "data.init_args.batch_size": 7,  # of 300 sentences: the last batch holds 6
    }
    config = write_config(project, small_tagger(opinions, **changes))
    runs = {
        "one": train(project / "one", config, monkeypatch, "--trainer.accelerator=cpu"),
        "two": train(project / "two", config, monkeypatch, *DDP),
    }
    assert_traces(project, runs, KEYS, rtol=2e-3, atol=2e-3)
    alone = unroll("test", "--run", runs["two"].info.run_id)
    assert alone.returncode == 0, alone.stderr
    tested = {
        name: value for name, value in runs["two"].data.metrics.items() if name.startswith("test/")
    }
    assert scores(alone.stdout) == pytest.approx(tested, rel=1e-9)


# Each task in one or two processes; all pairs are `slow`.
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="one-process", marks=pytest.mark.slow),
        pytest.param(DDP, id="two-processes"),
    ],
)
def test_kill_and_resume(project, opinions, monkeypatch, flags):
    """Bit for bit what it would have been, with dropout and hidden words, from within an epoch."""
    config = write_config(project, small_tagger(opinions, **{"trainer.max_epochs": 3}))
    keys = (*KEYS, "best/val_f1", "train/grad_norm")
    assert_resumes(project, config, monkeypatch, flags, keys)


def test_crossvalidation_is_a_parent_and_a_child_a_fold_and_goes_on(
    project, store, opinions, capsys
):
    """In the run of `mlflow run`, which has an experiment and a name of its own."""
    made = store.create_run(store.create_experiment("mine"), run_name="cv").info
    config = write_config(project, small_tagger(opinions, **{"trainer.max_epochs": 1}))
    flags = ["--config", str(config), "--folds=3", "--jobs=1"]
    process = start("crossvalidate", *flags, MLFLOW_RUN_ID=made.run_id)
    wait_for(lambda: process.poll() is not None or any_has_finished(project))
    assert process.poll() is None, process.communicate(timeout=30)[0]
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    runs = {run.info.run_name: run for run in all_runs(project)}
    assert runs["cv"].info.status == "KILLED"
    assert "RUNNING" not in {run.info.status for run in runs.values()}
    parent = runs["cv"].info.run_id
    done = unroll("crossvalidate", "--resume", parent)
    assert done.returncode == 0, done.stderr
    assert "of 3 folds are already finished" in done.stderr
    runs = {run.info.run_name: run for run in all_runs(project)}
    children = [runs[f"cv-fold{fold}"] for fold in range(3)]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {run.info.experiment_id for run in runs.values()} == {made.experiment_id}
    found = torch.tensor([child.data.metrics["test/f1"] for child in children]).double()
    whole = runs["cv"].data.metrics
    assert whole["test/f1"] == pytest.approx(float(found.mean()))
    assert whole["test/f1_std"] == pytest.approx(float(found.std()))
    assert sum(child.data.metrics["test/sentences"] for child in children) == 360
    before = everything(project)
    assert command("crossvalidate", "--resume", parent) == 0
    assert "is finished: 3 folds; nothing is left to do" in capsys.readouterr().err
    assert everything(project) == before
    with RunFolder.of(parent).locked():
        error = error_of(capsys, "crossvalidate", "--resume", parent)
    assert f"run {parent} is being trained by another process" in error


def any_has_finished(folder):
    runs = all_runs(folder) if (folder / "mlflow.db").exists() else []
    return any(run.info.status == "FINISHED" for run in runs)
