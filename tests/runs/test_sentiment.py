"""A classifier through the command line: its run, its scores, and what must not change them."""

import json

import pytest

from datamodules.sentiment.builtin import BuiltinReviews
from tests.configs import small_classifier, write_config
from tests.harness import (
    DDP,
    assert_resumes,
    assert_traces,
    client,
    metrics_of_test,
    scores,
    train,
    unroll,
)

KEYS = ("train/loss", "val/accuracy", "val/calibration_error", "test/accuracy", "tokens_seen")


def test_one_run_with_its_report_and_scores_that_can_be_had_again(project, monkeypatch):
    config = write_config(project, small_classifier())
    run = train(project / "here", config, monkeypatch)
    store = client(project / "here")
    names = {item.path for item in store.list_artifacts(run.info.run_id, "report")}
    assert names == {
        f"report/{file}"
        for file in ("errors.txt", "report.json", "items.json", "confusion.png", "calibration.png")
    }
    kept = {item.path for item in store.list_artifacts(run.info.run_id)}
    assert {"vocabulary.txt", "labels.txt", "corpus.txt", "config.yaml"} <= kept
    again = unroll("test", "--run", run.info.run_id, "--data.eval_batch_tokens=1")
    tested = metrics_of_test(run)
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
    flags = ("--input=text", "--format=tokens", "--explain=attention")
    read = unroll("predict", "--run", run.info.run_id, *flags)
    said = [json.loads(line) for line in read.stdout.splitlines()]
    assert [one["label"] for one in said] == [row[1] for row in rows[:50]]
    for one, row in zip(said, rows, strict=False):
        assert one["probabilities"][row[1]] == pytest.approx(float(row[2]), abs=2e-4)
        assert sum(word["influence"] for word in one["words"]) == pytest.approx(1, abs=0.01)
    refused = unroll("predict", "--run", run.info.run_id, "--input=text", "--bfloat16")
    assert refused.returncode == 2
    assert "--bfloat16 is for taggers" in refused.stderr or "AVX512-BF16" in refused.stderr


def test_two_processes_are_one(project, monkeypatch):
    """The same losses to rounding; the same checkpoint has exactly the same scores on both."""
    changes = {"model.init_args.dropout": 0.0, "model.init_args.word_dropout": 0.0}
    config = write_config(project, small_classifier(**changes))
    runs = {
        "one": train(project / "one", config, monkeypatch, "--trainer.accelerator=cpu"),
        "two": train(project / "two", config, monkeypatch, *DDP),
    }
    assert_traces(project, runs, KEYS, rtol=2e-3, atol=2e-3)
    alone = unroll("test", "--run", runs["two"].info.run_id)
    tested = {
        name: value for name, value in runs["two"].data.metrics.items() if name.startswith("test/")
    }
    assert scores(alone.stdout) == pytest.approx(tested, rel=1e-6)


# Each task in one or two processes; all pairs are `slow`.
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="one-process"),
        pytest.param(DDP, id="two-processes", marks=pytest.mark.slow),
    ],
)
def test_kill_and_resume(project, monkeypatch, flags):
    """Bit for bit what it would have been, with drawn texts, dropout and words left out."""
    config = write_config(project, small_classifier(**{"trainer.max_epochs": 3}))
    keys = (*KEYS, "best/val_accuracy", "train/grad_norm")
    assert_resumes(project, config, monkeypatch, flags, keys)
