import json

import numpy as np
import pytest

from pipeline.metrics.items import ItemScores
from pipeline.tracking.store import experiment_id
from tests.harness import command, error_of


def run_of(store, name, experiment="sentiment/sst2", right=None, params=None, **metrics):
    run = store.create_run(experiment_id(store, experiment), run_name=name).info.run_id
    for key, value in (params or {}).items():
        store.log_param(run, key, value)
    for key, value in metrics.items():
        store.log_metric(run, key.replace("__", "/"), value)
    if right is not None:
        values = np.array([right, [1.0] * len(right)])
        text = ItemScores("accuracy", "items", values).to_json()
        store.log_text(run, text, "report/items.json")
    store.set_terminated(run)
    return run


@pytest.fixture
def pair(store):
    """Two classifiers; the second has six more of ten texts right."""
    flags = {"seed_everything": "1", "model": "tasks.SentenceClassifier"}
    run_of(store, "one", right=[0] * 6 + [1] * 4, params=flags, test__accuracy=0.4)
    more = {**flags, "model.dropout": "0.5", "run_name": "other"}
    run_of(store, "other", right=[1] * 10, params=more, test__accuracy=1.0)


def test_parameters_scores_and_the_test(pair, capsys):
    assert command("diff", "one", "other") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["model.dropout", "(not", "set)", "0.5"] in lines
    assert ["test/accuracy", "0.4", "1", "+0.6"] in lines
    assert not any("run_name" in line or "seed_everything" in line for line in lines)
    assert " ".join(lines[-1]).startswith("accuracy of B is 0.6 higher than that of A (better; ")
    assert "p = 0.031 (paired permutation test, 10 items, all exchanges)" in " ".join(lines[-1])


def test_json_and_markdown(pair, capsys):
    assert command("diff", "other", "one", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["params"] == {"model.dropout": ["0.5", None]}
    assert found["scores"] == {"test/accuracy": [1.0, 0.4]}
    assert found["test"]["p_value"] == 2 / 2**6  # six texts differ, all in one direction
    assert found["test"]["difference"] == pytest.approx(-0.6)
    assert command("diff", "one", "other", "--markdown") == 0
    assert "| test/accuracy | 0.4 | 1 | +0.6 |" in capsys.readouterr().out


def test_without_items(store, pair, capsys):
    run = run_of(store, "bare", test__accuracy=0.4)
    assert command("diff", "one", "bare") == 0
    expected = f"not tested for significance: run {run[:8]} has no scores per test item"
    assert capsys.readouterr().out.splitlines()[-1] == expected


def test_bad_pairs(store, pair, capsys):
    run_of(store, "lstm", experiment="lm/ptb", test__perplexity=100.0)
    running = store.create_run("0", run_name="busy").info.run_id
    gone = run_of(store, "gone", test__accuracy=0.5)
    store.delete_run(gone)
    for other, expected in (
        ("lstm", "the runs have no score in common: "),
        ("busy", f"run {running[:8]} (busy) is RUNNING, so its scores are not final; wait until"),
        ("gone", f"run gone was deleted; restore it with `mlflow runs restore --run-id {gone}`"),
        ("one", "expected two different runs, got 1"),
        ("two", "no run 'two'"),
    ):
        capsys.readouterr()
        error = error_of(capsys, "diff", "one", other)
        assert expected in error
        assert error.count("\n") == 1
    assert "the following arguments are required: RUN" in error_of(capsys, "diff")
