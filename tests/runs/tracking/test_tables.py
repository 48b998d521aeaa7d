"""Tables and samples on the page of a run, for each task."""

import json
from pathlib import Path

import pytest

from tests.configs import small_classifier, small_config, write_config
from tests.harness import client, command, history, only_run


def table(project, name):
    run = only_run(project)
    path = client(project).download_artifacts(run.info.run_id, f"tables/{name}.json")
    found = json.loads(Path(path).read_text())
    return [dict(zip(found["columns"], row, strict=True)) for row in found["data"]]


def test_language_model(project, corpus):
    """The tables add up to the test: tokens, and the mean loss."""
    assert command("train", "--config", write_config(project, small_config(corpus))) == 0
    run = only_run(project)
    samples = table(project, "samples")
    assert [row["epoch"] for row in samples] == [1, 1, 1, 2, 2, 2]
    assert all(row["sample"] for row in samples[-1:])
    assert samples[-1]["sample"] in run.data.tags["mlflow.note.content"]
    groups = table(project, "loss_by_frequency")
    tokens = [row["test tokens"] for row in groups]
    assert sum(tokens) == run.data.metrics["test/tokens"]
    losses = [row["nll per token"] for row in groups]
    mean = sum(t * loss for t, loss in zip(tokens, losses, strict=True)) / sum(tokens)
    assert mean == pytest.approx(run.data.metrics["test/nll"], abs=1e-4)
    worst = table(project, "worst_sentences")
    sentences = (corpus / "test.txt").read_text().splitlines()
    assert len(sentences) == len(worst) or len(worst) == 50
    first = worst[0]
    assert first["tokens"] == len(sentences[first["sentence"] - 1].split()) + 1
    assert first["nll per token"] == max(row["nll per token"] for row in worst)


def test_samples_change_no_training(project, corpus, monkeypatch):
    """The losses are those of a training without samples."""
    from pipeline.callbacks import SampleLog

    config = write_config(project, small_config(corpus))
    histories = []
    for name in ("with", "without"):
        (project / name).mkdir()
        monkeypatch.chdir(project / name)
        assert command("fit", "--config", config) == 0
        run_id = only_run(project / name).info.run_id
        histories.append(history(project / name, run_id, "train/loss"))
        monkeypatch.setattr(SampleLog, "on_validation_end", lambda *given: None)
    assert histories[0] == histories[1]


def test_classifier(project):
    assert command("train", "--config", write_config(project, small_classifier())) == 0
    worst = table(project, "worst_texts")
    losses = [row["nll"] for row in worst]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0
    metrics = only_run(project).data.metrics
    confusions = table(project, "confusion")
    right = sum(row["texts"] for row in confusions if row["gold"] == row["predicted"])
    total = sum(row["texts"] for row in confusions)
    assert right / total == pytest.approx(metrics["test/accuracy"])
    assert "**Output**" in only_run(project).data.tags["mlflow.note.content"]
