"""Scores without unknown words: of networks, n-grams and mixtures, against their predictions."""

import math

import pytest

from tests.configs import part, small_config, write_config
from tests.harness import all_runs, command, scores

FLAGS = ("--trainer.max_epochs=1", "--data.batch_size=1")


@pytest.fixture
def unseen(corpus):
    """A corpus whose training text has no unknown word, but whose other texts have some."""
    for split, word in (("valid", " boys "), ("test", " dog ")):
        path = corpus / f"{split}.txt"
        text = path.read_text(encoding="utf-8")
        assert word in text
        path.write_text(text.replace(word, " zebra "), encoding="utf-8")
    return corpus


def predictions(capsys, run):
    capsys.readouterr()
    assert command("predict", f"--run={run}") == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_each_model_is_scored_without_them(unseen, project, capsys):
    network = small_config(unseen, run_name="network", **{"trainer.max_epochs": 1})
    network["model"]["init_args"]["monitor"] = "val/perplexity_known"
    ngram = {
        "run_name": "ngram",
        "trainer": {"max_epochs": 1},
        "data": part("LanguageModelData", corpus=str(unseen), batch_size=1, bptt=100),
        "model": part("NgramLanguageModel", order=3, smoothing=part("KneserNey")),
    }
    mixed = {
        **ngram,
        "run_name": "mixture",
        "model": part("MixtureLanguageModel", members=["network", "ngram"]),
    }
    for config in (network, ngram, mixed):
        name = config["run_name"]
        assert command("train", f"--config={write_config(project, config)}") == 0
        done = capsys.readouterr()
        tested = scores(done.out)
        rows = predictions(capsys, name)
        known = [float(score) for word, score in rows if word != "<unk>"]
        expected = math.exp(-sum(known) / len(known))
        assert tested["test/perplexity_known"] == pytest.approx(expected, rel=2e-6)
        assert tested["test/unk"] == len(rows) - len(known) > 1
        assert done.err.count("note: the training text has no <unk>") == 1
        assert done.err.count("are <unk>, which the training text does not contain") == 1
    runs = {run.info.run_name: run.data.metrics for run in all_runs(project)}
    best = runs["network"]["best/val_perplexity_known"]
    assert best == runs["network"]["val/perplexity_known"] < runs["network"]["val/perplexity"]
    assert "best/val_perplexity" in runs["mixture"]
