import datetime
import json
import math
import re
import time
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.tracking.lookup import download, find_run
from pipeline.tracking.store import experiment_id
from pipeline.tracking.table import RunRow, list_runs, render, to_json
from tests.examples import refuses
from tests.harness import command


@pytest.fixture
def runs(store):
    """Three runs in two experiments, one of them still running."""
    ids = {}
    for name, experiment in (("lstm-1", "lm/ptb"), ("gru-1", "lm/ptb"), ("crf-1", "tagging/mpqa")):
        run = store.create_run(experiment_id(store, experiment), run_name=name)
        ids[name] = run.info.run_id
    for step, perplexity in enumerate([120.0, float("nan"), 99.5, 101.0]):
        store.log_metric(ids["lstm-1"], "val/perplexity", perplexity, step=step)
    store.log_metric(ids["lstm-1"], "test/perplexity", 97.25)
    store.log_metric(ids["lstm-1"], "perf/tokens_per_second", 54321.0)
    store.log_metric(ids["lstm-1"], "test/tokens", 82430.0)
    store.log_metric(ids["gru-1"], "test/perplexity", float("inf"))
    store.set_terminated(ids["lstm-1"], "FINISHED")
    store.set_terminated(ids["gru-1"], "FAILED")
    return ids


def row_of(**values):
    return RunRow(**{**dict.fromkeys(RunRow.__annotations__), **values})


def test_list(store, runs):
    rows = {row.name: row for row in list_runs()}
    info = store.get_run(runs["lstm-1"]).info
    assert rows["lstm-1"] == row_of(
        run_id=runs["lstm-1"],
        name="lstm-1",
        experiment="lm/ptb",
        status="FINISHED",
        start=datetime.datetime.fromtimestamp(info.start_time / 1000, datetime.UTC),
        duration=pytest.approx((info.end_time - info.start_time) / 1000),
        val_perplexity=99.5,
        test_perplexity=97.25,
        tokens_per_second=54321.0,
        test_scores={"tokens": 82430.0},
    )
    assert (rows["crf-1"].status, rows["crf-1"].val_perplexity) == ("RUNNING", None)
    assert {row.name for row in list_runs("lm/ptb")} == {"lstm-1", "gru-1"}
    assert len(list_runs(limit=2)) == 2
    with refuses("no experiment 'lm/ptp'; did you mean lm/ptb?; `unroll runs` lists all runs"):
        list_runs("lm/ptp")


def test_a_table_that_is_cut_says_so(runs, capsys):
    assert command("runs", "--limit", "2") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 + 2
    assert "showing the latest 2 runs" in shown.err
    assert command("runs", "--limit", "3") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 + 3
    assert not shown.err


def test_json_is_for_programs(runs):
    rows = {row["name"]: row for row in json.loads(to_json(list_runs()))}
    assert rows["lstm-1"]["test_perplexity"] == 97.25
    assert rows["lstm-1"]["test_scores"] == {"tokens": 82430}
    assert rows["gru-1"]["test_perplexity"] is None
    assert datetime.datetime.fromisoformat(rows["gru-1"]["start"]).tzinfo is not None


def row(**changes):
    filled = {
        "run_id": "0123456789abcdef" * 2,
        "name": "lstm-2x200-1a2b3c-s1",
        "experiment": "lm/ptb",
        "status": "FINISHED",
        "start": datetime.datetime(2025, 5, 4, 3, 2, tzinfo=datetime.UTC),
        "duration": 3725.0,
        "val_perplexity": 118.125,
        "test_perplexity": 114.5,
        "tokens_per_second": 12345.6,
        "test_scores": {},
    }
    return row_of(**{**filled, **changes})


@pytest.fixture
def terminal(monkeypatch):
    """Makes stdout a terminal of a given width."""

    def make(columns):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))

    return make


def test_table_is_aligned_and_fits_a_terminal(terminal):
    rows = [
        row(),
        row(name="gru-[bold]", duration=59, val_perplexity=None, test_perplexity=1.79769e308),
        row(name="tagger", status="RUNNING", test_scores={"f1": 0.54321, "accuracy": 1.0}),
        row(name="diverged", test_perplexity=math.nan),
    ]
    for columns in (80, 100, 160):
        terminal(columns)
        heading, first, second, *_ = lines = render(rows).splitlines()
        assert max(map(len, lines)) <= columns
        end = heading.index("test ppl") + len("test ppl")
        assert first[:end].endswith(" 114.50")
        assert second[:end].endswith(" inf")
        assert first.startswith("01234567 ")
        assert "gru-[bold]" in second
    assert re.search(r" 1:02:05 +118\.12 +114\.50 +12346$", first)
    assert re.search(r" 0:59 +- +inf +12346$", second)
    assert any(re.search(r"diverged.* nan ", line) for line in lines)
    assert "accuracy 1" in lines[3]
    assert "f1 0.5432" in lines[3]


def test_a_long_name_keeps_its_end(terminal):
    name = "bilstm-3x200-" + "x" * 60 + "-cv10-fold7"
    terminal(100)
    (line,) = render([row(name=name)]).splitlines()[1:]
    assert re.search(r" bilstm\S*…\S*-fold7 ", line)
    assert len(line) <= 100
    assert line.endswith("118.12    114.50     12346")


def test_outside_a_terminal_nothing_is_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "bilstm-3x200-" + "x" * 200
    (line,) = render([row(name=name, test_scores={"f1": 0.5})]).splitlines()[1:]
    assert line.startswith(f"{'0123456789abcdef' * 2}  {name}  lm/ptb ")
    assert line.endswith(" f1 0.5")


def test_accuracy_stands_where_there_is_no_f1(store, runs):
    for name, value in (("val/accuracy", 0.5), ("val/accuracy", 0.75), ("test/accuracy", 0.625)):
        store.log_metric(runs["crf-1"], name, value)
    (found,) = [row for row in list_runs() if row.name == "crf-1"]
    assert (found.val_accuracy, found.test_accuracy) == (0.75, 0.625)
    heading, line = render([found]).splitlines()
    assert "val acc  test acc" in heading
    assert line.split()[-3:] == ["0.75", "0.625", "-"]
    store.log_metric(runs["crf-1"], "test/f1", 0.25)
    (found,) = [row for row in list_runs() if row.name == "crf-1"]
    assert (found.test_f1, found.test_accuracy) == (0.25, None)
    assert found.test_scores["accuracy"] == 0.625


def test_a_resumed_run_is_not_over(store, runs):
    """Its end time is that of the interrupted training, an hour and 2 seconds ago."""
    start = int(time.time() * 1000) - 3_602_000
    run_id = store.create_run("0", start_time=start, run_name="resumed").info.run_id
    store.set_terminated(run_id, "KILLED", end_time=start + 2000)
    (killed,) = [row for row in list_runs() if row.name == "resumed"]
    assert killed.duration == 2
    store.update_run(run_id, status="RUNNING")
    (resumed,) = [row for row in list_runs() if row.name == "resumed"]
    assert 3602 <= resumed.duration < 7000


def test_the_best_validation_score_of_each_kind(store, runs):
    """The highest F1 and accuracy and the lowest perplexity; nan is skipped wherever it is."""
    histories = {
        "val/f1": [0.5, 0.7, 0.6],
        "val/perplexity": [math.nan, 120.0, 99.5, 101.0],
    }
    for name, values in histories.items():
        for step, value in enumerate(values):
            store.log_metric(runs["crf-1"], name, value, step=step)
    for step, value in enumerate([math.nan, 0.5, 0.75, 0.25]):
        store.log_metric(runs["gru-1"], "val/accuracy", value, step=step)
    store.log_metric(runs["gru-1"], "val/perplexity", math.nan)
    rows = {row.name: row for row in list_runs()}
    assert (rows["crf-1"].val_f1, rows["crf-1"].val_perplexity) == (0.7, 99.5)
    assert rows["gru-1"].val_accuracy == 0.75
    assert math.isnan(rows["gru-1"].val_perplexity)


def test_find(store, runs):
    for name, run_id in runs.items():
        assert find_run(run_id) == run_id
        assert find_run(name) == run_id
        assert find_run(run_id[:12]) == run_id


def test_find_what_is_not_there_or_not_alone(store, runs):
    with refuses("no run 'lstm-2'; did you mean lstm-1?; `unroll runs` lists all runs"):
        find_run("lstm-2")
    with pytest.raises(InputError, match=r"^no run ''; `unroll runs` lists all runs$"):
        find_run("")
    again = store.create_run("0", run_name="lstm-1").info.run_id
    with pytest.raises(InputError) as caught:
        find_run("lstm-1")
    assert re.fullmatch(
        r"'lstm-1' matches 2 runs: \w{32} \(lstm-1\), \w{32} \(lstm-1\); give a run id",
        str(caught.value),
    )
    assert {again, runs["lstm-1"]} <= set(re.findall(r"\w{32}", str(caught.value)))


def test_no_store_yet(project):
    for ask in (list_runs, lambda: find_run("a"), lambda: download("a", "b", project)):
        with refuses(
            f"no runs yet: {project}/mlflow.db does not exist; train a model first, or set "
            "MLFLOW_TRACKING_URI to an existing tracking store"
        ):
            ask()
    assert not list(project.iterdir())  # nothing is created


def test_download(store, runs, project):
    run_id = runs["lstm-1"]
    store.log_text(run_id, "weights", "checkpoints/best.ckpt")
    store.log_text(run_id, "a: 1", "config.yaml")
    target = project / "fetched"
    assert download(run_id, "checkpoints/best.ckpt", target) == target / "best.ckpt"
    assert (target / "best.ckpt").read_text() == "weights"
    store.log_text(run_id, "better", "checkpoints/best.ckpt")
    assert download(run_id, "checkpoints/best.ckpt", target).read_text() == "better"
    assert (download(run_id, "checkpoints", target) / "best.ckpt").read_text() == "better"
    assert sorted(path.name for path in target.iterdir()) == ["best.ckpt", "checkpoints"]
    with pytest.raises(InputError, match=r"checkpoints is an existing folder; remove it$"):
        download(run_id, "checkpoints", target)
    for asked, holds in (
        ("checkpoints/last.ckpt", "checkpoints: checkpoints/best.ckpt"),
        ("model", "the root folder: checkpoints, config.yaml"),
        ("a/b", "a: none"),
    ):
        with pytest.raises(InputError) as caught:
            download(run_id, asked, Path("fetched"))
        assert (
            str(caught.value) == f"run {run_id} has no artifact {asked}; its artifacts in {holds}"
        )
