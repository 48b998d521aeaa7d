"""A classifier through the command line: its run, its scores, and what must not change them."""

import json
import os
import signal

import pytest
import torch

from datamodules.sentiment.builtin import BuiltinReviews
from tests.harness import (
    client,
    history,
    only_run,
    small_classifier,
    start,
    unroll,
    wait_for,
    write_config,
)
from tests.runs.test_tagging import DDP, scores, train

KEYS = ("train/loss", "val/accuracy", "val/calibration_error", "test/accuracy", "tokens_seen")


def test_one_run_with_its_report_and_scores_that_can_be_had_again(project, monkeypatch):
    config = write_config(project, small_classifier())
    run = train(project / "here", config, monkeypatch)
    store = client(project / "here")
    names = {item.path for item in store.list_artifacts(run.info.run_id, "report")}
    assert names == {
        f"report/{file}"
        for file in ("errors.txt", "report.json", "confusion.png", "calibration.png")
    }
    kept = {item.path for item in store.list_artifacts(run.info.run_id)}
    assert {"vocabulary.txt", "labels.txt", "corpus.txt", "config.yaml"} <= kept
    again = unroll("test", "--run", run.info.run_id, "--data.eval_batch_tokens=1")
    tested = {name: value for name, value in run.data.metrics.items() if name.startswith("test/")}
    found = scores(again.stdout)
    assert found.pop("test/calibration_error") == pytest.approx(
        tested.pop("test/calibration_error"), abs=1e-5
    )
    assert found == pytest.approx(tested, rel=1e-9)  # alone in a batch, or with hundreds

    predicted = unroll("predict", "--run", run.info.run_id)
    assert predicted.returncode == 0, predicted.stderr
    rows = [line.split("\t") for line in predicted.stdout.splitlines()]
    texts = BuiltinReviews().read().splits["test"]
    assert [(row[0], row[3]) for row in rows] == [(t.label, " ".join(t.tokens)) for t in texts]
    right = sum(row[0] == row[1] for row in rows)
    assert tested["test/accuracy"] == pytest.approx(right / len(rows), rel=1e-12)

    (project / "here" / "text").write_text("".join(row[3] + "\n" for row in rows[:50]))
    read = unroll(
        "predict",
        "--run",
        run.info.run_id,
        "--input",
        "text",
        "--format",
        "tokens",
        "--explain",
        "attention",
    )
    said = [json.loads(line) for line in read.stdout.splitlines()]
    assert [one["label"] for one in said] == [row[1] for row in rows[:50]]
    for one, row in zip(said, rows, strict=False):
        assert one["probabilities"][row[1]] == pytest.approx(float(row[2]), abs=2e-4)
        assert sum(word["influence"] for word in one["words"]) == pytest.approx(1, abs=0.01)


def test_two_processes_are_one(project, monkeypatch):
    """The same losses to rounding; the same checkpoint has exactly the same scores on both."""
    changes = {"model.init_args.dropout": 0.0, "model.init_args.word_dropout": 0.0}
    config = write_config(project, small_classifier(**changes))
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
    tested = {name: value for name, value in two.data.metrics.items() if name.startswith("test/")}
    assert scores(alone.stdout) == pytest.approx(tested, rel=1e-6)


@pytest.mark.parametrize("flags", [(), DDP], ids=["one-process", "two-processes"])
def test_kill_and_resume(project, monkeypatch, flags):
    """Bit for bit what it would have been, with drawn texts, dropout and words left out."""
    config = write_config(project, small_classifier(**{"trainer.max_epochs": 3}))
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
    for key in (*KEYS, "best/val_accuracy", "train/grad_norm"):
        assert history(broken, run_id, key) == history(
            project / "whole", expected.info.run_id, key
        ), key
