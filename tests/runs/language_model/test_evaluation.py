"""What a score may not depend on: windows, processes, batches."""

import math
import re

import pytest

from tests.configs import small_config, write_config
from tests.harness import DDP, assert_traces, command, only_run, scores, train


def test_windows_do_not_matter(project, corpus, capsys):
    """One checkpoint, windows of 1, 35 and 1000 steps: equal to 6 digits and more."""
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    assert command("train", "--config", config) == 0
    run = only_run(project)
    found = []
    for window in (1, 35, 1000):
        capsys.readouterr()
        assert command("test", "--run", run.info.run_id, f"--data.eval_bptt={window}") == 0
        found.append(scores(capsys.readouterr().out)["test/perplexity"])
    assert found == pytest.approx([run.data.metrics["test/perplexity"]] * 3, rel=1e-6)
    score = ("score", "--run", run.info.run_id, "--stream", "--input", corpus / "test.txt")
    assert command(*score) == 0
    streamed = float(re.search(r"including unknown words ([\d.]+)", capsys.readouterr().err)[1])
    assert streamed == pytest.approx(found[0], abs=1e-4)
    assert command("predict", "--run", run.info.run_id) == 0
    predicted = capsys.readouterr().out
    log_probs = [float(line.split("\t")[1]) for line in predicted.splitlines()]
    perplexity = math.exp(-sum(log_probs) / len(log_probs))
    assert perplexity == pytest.approx(found[0], rel=1e-5)
    words = [line.split("\t")[0] for line in predicted.splitlines()]
    text = (corpus / "test.txt").read_text()
    known = {"<eos>", *(corpus / "train.txt").read_text().split()}
    expected = text.replace("\n", " <eos> ").split()
    assert words == [word if word in known else "<unk>" for word in expected]


def test_two_processes_are_one(project, corpus, monkeypatch):
    """One process with all columns, two with half each: the same losses and scores, dropout off."""
    changes = {
        "model.init_args.dropout": 0.0,
        "model.init_args.encoder.init_args.dropout": 0.0,
        "data.init_args.batch_size": 7,
    }  # seven columns: shares of 3 and 4
    config = write_config(project, small_config(corpus, **changes))
    runs = {}
    for name, devices in (("one", "1"), ("two", "2")):
        flags = (*DDP, f"--trainer.devices={devices}")
        runs[name] = train(project / name, config, monkeypatch, *flags)
    keys = ("train/loss", "val/perplexity", "test/perplexity", "tokens_seen")
    assert_traces(project, runs, keys, rtol=1e-4, atol=1e-5)


def test_characters_are_scored_in_bits(project, corpus):
    changes = {"data.init_args.unit": "character", "trainer.max_epochs": 1}
    config = write_config(project, small_config(corpus, **changes))
    assert command("train", "--config", config, "--trainer.limit_train_batches=2") == 0
    metrics = only_run(project).data.metrics
    for split in ("val", "test"):
        assert metrics[f"{split}/bpc"] == pytest.approx(math.log2(metrics[f"{split}/perplexity"]))
