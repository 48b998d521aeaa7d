"""A tagger through the command line: its run, its scores, and what must not change them."""

import os
import signal

import pytest
import torch
from seqeval.metrics import accuracy_score, f1_score

from tests.harness import (
    all_runs,
    client,
    history,
    only_run,
    small_tagger,
    start,
    unroll,
    wait_for,
    write_config,
)

DDP = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")
KEYS = ("train/loss", "val/f1", "val/f1_proportional", "test/f1", "test/accuracy", "tokens_seen")


def scores(text):
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if "/" in line}


def train(folder, config, monkeypatch, *flags):
    folder.mkdir()
    monkeypatch.chdir(folder)
    done = unroll("train", "--config", str(config), *flags)
    assert done.returncode == 0, done.stderr
    return only_run(folder)


def test_one_run_with_its_report_and_scores_that_can_be_had_again(project, opinions, monkeypatch):
    config = write_config(project, small_tagger(opinions))
    run = train(project / "here", config, monkeypatch)
    assert run.info.status == "FINISHED"
    names = {
        item.path for item in client(project / "here").list_artifacts(run.info.run_id, "report")
    }
    assert {"report/seqeval.txt", "report/errors.txt", "report/confusion.png"} <= names
    kept = {item.path for item in client(project / "here").list_artifacts(run.info.run_id)}
    assert {"vocabulary.txt", "tags.txt", "corpus.txt", "config.yaml"} <= kept

    again = unroll("test", "--run", run.info.run_id, "--data.eval_batch_tokens=64")
    found = scores(again.stdout)
    tested = {name: value for name, value in run.data.metrics.items() if name.startswith("test/")}
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
        "model.init_args.inputs": [
            {"class_path": "pipeline.inputs.Words", "init_args": {"size": 16}}
        ],
        "data.init_args.batch_size": 7,  # of 300 sentences: the last batch holds 6
    }
    config = write_config(project, small_tagger(opinions, **changes))
    one = train(project / "one", config, monkeypatch, "--trainer.accelerator=cpu")
    two = train(project / "two", config, monkeypatch, *DDP)
    for key in KEYS:
        traces = [
            history(project / name, run.info.run_id, key)
            for name, run in (("one", one), ("two", two))
        ]
        assert [step for step, _ in traces[0]] == [step for step, _ in traces[1]], key
        values = [torch.tensor([value for _, value in trace]) for trace in traces]
        torch.testing.assert_close(*values, rtol=2e-3, atol=2e-3, msg=key)
    alone = unroll("test", "--run", two.info.run_id)
    assert alone.returncode == 0, alone.stderr
    tested = {name: value for name, value in two.data.metrics.items() if name.startswith("test/")}
    assert scores(alone.stdout) == pytest.approx(tested, rel=1e-9)


@pytest.mark.parametrize("flags", [(), DDP], ids=["one-process", "two-processes"])
def test_kill_and_resume(project, opinions, monkeypatch, flags):
    """Bit for bit what it would have been, with dropout and hidden words, from within an epoch."""
    config = write_config(project, small_tagger(opinions, **{"trainer.max_epochs": 3}))
    expected = train(project / "whole", config, monkeypatch, *flags)
    broken = project / "broken"
    broken.mkdir()
    monkeypatch.chdir(broken)
    process = start("train", "--config", str(config), *flags)
    stamps = set()

    def is_within_the_second_epoch():
        for path in (broken / "outputs").glob("*/checkpoints/last.ckpt"):
            stamps.add(path.stat().st_mtime_ns)
        return len(stamps) >= 6 or process.poll() is not None

    wait_for(is_within_the_second_epoch)
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    run_id = only_run(broken).info.run_id
    done = unroll("train", "--resume", run_id)
    assert done.returncode == 0, done.stderr
    for key in (*KEYS, "best/val_f1", "train/grad_norm"):
        assert history(broken, run_id, key) == history(
            project / "whole", expected.info.run_id, key
        ), key


def test_crossvalidation_is_a_parent_and_a_child_a_fold_and_goes_on(project, opinions):
    config = write_config(project, small_tagger(opinions, **{"trainer.max_epochs": 1}))
    process = start(
        "crossvalidate", "--config", str(config), "--folds=3", "--jobs=1", "--run_name=cv"
    )
    wait_for(lambda: sum(run.info.status == "FINISHED" for run in all_runs_or_none(project)) >= 1)
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    runs = {run.info.run_name: run for run in all_runs(project)}
    assert runs["cv-cv3"].info.status == "KILLED"
    assert "RUNNING" not in {run.info.status for run in runs.values()}

    parent = runs["cv-cv3"].info.run_id
    done = unroll("crossvalidate", "--resume", parent)
    assert done.returncode == 0, done.stderr
    assert "of 3 folds are already finished" in done.stderr
    runs = {run.info.run_name: run for run in all_runs(project)}
    children = [runs[f"cv-cv3-fold{fold}"] for fold in range(3)]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    found = torch.tensor([child.data.metrics["test/f1"] for child in children]).double()
    whole = runs["cv-cv3"].data.metrics
    assert whole["test/f1"] == pytest.approx(float(found.mean()))
    assert whole["test/f1_std"] == pytest.approx(float(found.std()))
    assert sum(child.data.metrics["test/sentences"] for child in children) == 360


def all_runs_or_none(folder):
    return all_runs(folder) if (folder / "mlflow.db").exists() else []
