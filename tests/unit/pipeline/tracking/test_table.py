import datetime
import json
import math
import re
import socket
import statistics
import sys
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from pipeline.errors import InputError
from pipeline.tracking.lookup import download, find_run
from pipeline.tracking.naming import GROUP_TAG
from pipeline.tracking.store import experiment_id
from pipeline.tracking.table import Query, RunRow, list_runs, run_table, select_runs
from pipeline.tracking.table.groups import Group, summarize
from tests.examples import refuses
from tests.harness import command, error_of


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


def rows_of(**query):
    return {row.name: row for row in list_runs(Query(**query))[0]}


def test_list(store, runs):
    rows = rows_of()
    info = store.get_run(runs["lstm-1"]).info
    lstm = rows["lstm-1"]
    assert lstm.start == datetime.datetime.fromtimestamp(info.start_time / 1000, datetime.UTC)
    assert lstm.duration == pytest.approx((info.end_time - info.start_time) / 1000)
    assert (lstm.run_id, lstm.experiment, lstm.status) == (runs["lstm-1"], "lm/ptb", "FINISHED")
    assert (lstm.metric, lstm.val, lstm.test) == ("perplexity", 99.5, 97.25)
    assert lstm.metrics["test/tokens"] == 82430
    assert (rows["crf-1"].status, rows["crf-1"].metric, rows["crf-1"].val) == (
        "RUNNING",
        None,
        None,
    )
    assert rows_of(experiment="lm/ptb").keys() == {"lstm-1", "gru-1"}
    found, left_out = list_runs(Query(limit=2))
    assert (len(found), left_out) == (2, 1)
    with refuses("no experiment 'lm/ptp'; did you mean lm/ptb?; `unroll runs` lists all runs"):
        rows_of(experiment="lm/ptp")


def test_a_table_that_is_cut_says_so(runs, capsys):
    assert command("runs", "--limit", "2") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 + 2
    assert shown.err == "showing 2 of 3 runs; raise --limit\n"
    assert command("runs", "--limit", "3") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 + 3
    assert not shown.err


def test_json_is_for_programs(runs, capsys):
    assert command("runs", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["lstm-1"]["test"] == 97.25
    assert rows["lstm-1"]["metrics"]["test/tokens"] == 82430
    assert rows["gru-1"]["test"] is None
    assert datetime.datetime.fromisoformat(rows["gru-1"]["start"]).tzinfo is not None


def row(**changes):
    filled = {
        "run_id": "0123456789abcdef" * 2,
        "name": "lstm-2x200-1a2b3c-s1",
        "experiment": "lm/ptb",
        "status": "FINISHED",
        "start": datetime.datetime(2025, 5, 4, 3, 2, tzinfo=datetime.UTC),
        "duration": 3725.0,
        "parent": None,
        "group": None,
        "metric": "perplexity",
        "val": 118.125,
        "test": 114.5,
        "params": {},
        "tags": {},
        "metrics": {},
    }
    return RunRow(**{**filled, **changes})


@pytest.fixture
def terminal(monkeypatch):
    """Makes stdout a terminal of a given width."""

    def make(columns):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))

    return make


MIXED = [
    row(run_id="1" * 32, name="lstm-2x650-1a2b3c-s1"),
    row(run_id="2" * 32, name="gru-[bold]", duration=59, val=None, test=1.79769e308),
    row(run_id="3" * 32, name="bilstm-3x25-9f8e7d-s12", metric="f1", val=0.5, test=0.54321,
        experiment="tagging/mpqa-dse", status="RUNNING"),
    row(run_id="4" * 32, name="fold-1", metric="f1", val=None, test=None, parent="3" * 32,
        experiment="tagging/mpqa-dse", status="KILLED"),
    row(run_id="5" * 32, name="lstm-1x50-aaaaaa-s1", metric="accuracy", val=0.8991, test=math.nan,
        experiment="sentiment/sst2", params={"model.encoder.hidden_size": "50"}),
]  # fmt: skip


def test_any_mix_of_tasks_fits_a_terminal(terminal):
    """Id, name and scores are never cut; what does not fit is left out as a whole column."""
    for columns in (80, 100, 160):
        terminal(columns)
        heading, *lines = run_table(MIXED).splitlines()
        assert max(map(len, (heading, *lines))) <= columns
        assert heading.split()[-3:] == ["metric", "val", "test"]
        assert [line[:8] for line in lines] == [digit * 8 for digit in "12345"]
        assert [line.split()[-3:] for line in lines] == [
            ["perplexity", "118.12", "114.50"],
            ["perplexity", "-", "inf"],
            ["f1", "0.5", "0.5432"],
            ["f1", "-", "-"],
            ["accuracy", "0.8991", "nan"],
        ]
        assert "lstm-2x650-1a2b3c-s1 " in lines[0]
        assert "gru-[bold] " in lines[1]
        assert " └ fold-1 " in lines[3]
        assert ("sentiment/sst2" in lines[4]) == (columns > 80)
    assert " 1:02:05 " in lines[0]


def test_columns_are_those_in_which_runs_can_be_compared(terminal):
    """Constant parameters, seeds of one value and the status of finished runs are left out."""
    flags = {"model": "tasks.Tagger", "model.encoder": "a.LSTM", "model.encoder.hidden_size": "5"}
    gru = flags | {"model.encoder": "a.GRU", "model.encoder.reset": "after"}
    rows = [
        row(params=flags | {"run_name": "a", "seed_everything": "1"}),
        row(run_id="b" * 32, params=gru | {"run_name": "b", "seed_everything": "1"}),
    ]
    terminal(120)
    heading, line, _ = run_table(rows).splitlines()
    # `reset` belongs to a class that one of the runs does not use.
    assert heading.split() == [
        "run",
        "name",
        "started",
        "took",
        "encoder",
        "val",
        "ppl",
        "test",
        "ppl",
    ]
    assert line.split()[-3:] == ["LSTM", "118.12", "114.50"]
    rows[1] = row(run_id="b" * 32, params=flags | {"model.encoder.skip": "true"})
    heading, line, other = run_table(rows).splitlines()
    assert heading.split() == [
        "run",
        "name",
        "started",
        "took",
        "seed_everything",
        "skip",
        "val",
        "ppl",
        "test",
        "ppl",
    ]
    assert (line.split()[-4:-2], other.split()[-4:-2]) == (["1", "-"], ["-", "true"])


def test_the_perplexity_of_known_tokens_is_shown_where_it_differs():
    with_unk = {"test/perplexity_known": 72.15, "test/unk": 216.0}
    same = {"test/perplexity_known": 114.5, "test/unk": 0.0}
    heading, line, other = run_table([row(metrics=with_unk), row(run_id="b" * 32)]).splitlines()
    assert heading.endswith("val ppl  test ppl  test known ppl")
    assert (line.split()[-3:], other.split()[-1]) == (["118.12", "114.50", "72.15"], "-")
    assert "known" not in run_table([row(metrics=same)])
    assert "known" not in run_table([row(metric="perplexity_known", metrics=with_unk)])[:60]


def test_a_long_name_keeps_its_end(terminal):
    name = "bilstm-3x200-" + "x" * 60 + "-cv10-fold7"
    terminal(80)
    (line,) = run_table([row(name=name)]).splitlines()[1:]
    assert re.search(r" bilstm\S*…\S*-fold7 ", line)
    assert len(line) <= 80
    assert line.endswith("118.12    114.50")


def test_outside_a_terminal_nothing_is_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "bilstm-3x200-" + "x" * 200
    lines = run_table([row(name=name), *MIXED[2:]]).splitlines()
    assert lines[1].startswith(f"01234567  {name}  lm/ptb ")
    assert lines[1].endswith("118.12  114.50")


def test_ids_that_begin_alike_are_longer():
    one, other = "1234567890" + "a" * 22, "1234567890" + "b" * 22
    lines = run_table([row(run_id=one), row(run_id=other)]).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["1234567890a", "1234567890b"]


def test_names_cannot_break_the_table_or_control_the_terminal():
    (_, line) = run_table([row(name="a\nb\x1b[2Jc")]).splitlines()
    assert "a b [2Jc" in line
    line = run_table([row(name="<b>a|b</b>")], markdown=True).splitlines()[-1]
    assert "&lt;b&gt;a\\|b&lt;/b&gt;" in line


@pytest.fixture
def family(store, runs):
    """A parent run with three children that differ only in the seed, and one other run."""
    experiment = experiment_id(store, "lm/group")
    parent = store.create_run(experiment, run_name="parent").info.run_id
    store.log_metric(parent, "test/perplexity", 22.0)
    for seed, value in ((1, 20.0), (2, 23.0), (3, 24.5)):
        tags = {"mlflow.parentRunId": parent, GROUP_TAG: "1a2b3c"}
        run = store.create_run(experiment, run_name=f"lstm-1a2b3c-s{seed}", tags=tags).info.run_id
        store.log_param(run, "seed_everything", seed)
        store.log_metric(run, "best/val_perplexity", value - 1)
        store.log_metric(run, "test/perplexity", value)
        store.set_terminated(run)
    return parent


def test_children_follow_their_parent(store, family, capsys):
    """A limit counts families, and sorting keeps them together."""
    store.create_run(experiment_id(store, "lm/group"), run_name="latest")
    asked = ("runs", "--experiment", "lm/group", "--columns", "name,test", "--sort", "test desc")
    assert command(*asked, "--limit", "1") == 0
    shown = capsys.readouterr()
    assert [line.split() for line in shown.out.splitlines()[1:]] == [
        ["parent", "22"],
        ["└", "lstm-1a2b3c-s3", "24.50"],
        ["└", "lstm-1a2b3c-s2", "23"],
        ["└", "lstm-1a2b3c-s1", "20"],
    ]
    assert shown.err == "showing 1 of 2 runs; raise --limit\n"


def test_a_repeated_seed_counts_once():
    day = datetime.datetime(2025, 5, 4, tzinfo=datetime.UTC)
    hour = datetime.timedelta(hours=1)
    tested = [("1", 2, 20.0), ("1", 3, None), ("2", 1, 23.0), ("1", 1, 99.0)]
    rows = [
        row(start=day + hours * hour, test=test, params={"seed_everything": seed})
        for seed, hours, test in tested
    ]
    assert Group("lstm", rows).summary("test") == summarize([20.0, 23.0])


def test_means_over_seeds(family, capsys):
    """The parent, whose scores are means itself, counts for nothing."""
    asked = ("runs", "--group", "seed", "--experiment", "lm/group")
    assert command(*asked) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "runs", "seeds", "val", "ppl", "test", "ppl"]
    assert line.split() == [
        "lstm-1a2b3c",
        "3",
        "1",
        "2",
        "3",
        "21.50",
        "±",
        "2.29",
        "22.50",
        "±",
        "2.29",
    ]
    assert command(*asked, "--json") == 0
    (group,) = json.loads(capsys.readouterr().out)
    values = [20.0, 23.0, 24.5]
    assert group["metrics"]["test/perplexity"] == {
        "mean": pytest.approx(sum(values) / 3),
        "std": pytest.approx(statistics.stdev(values)),
        "runs": 3,
    }
    assert (group["group"], sorted(group["seeds"])) == ("1a2b3c", ["1", "2", "3"])


def test_a_mean_leaves_out_what_is_not_finite():
    assert summarize([1.0, math.nan, 1.7976931348623157e308, 3.0])[::2] == (2.0, 2)
    assert summarize([math.nan]) is None
    assert str(summarize([0.5])) == "0.5"


def test_a_search(family, capsys):
    below = "metrics.`test/perplexity` < 24 and params.seed_everything != '1'"
    assert command("runs", "--filter", below, "--columns", "name") == 0
    assert capsys.readouterr().out.split() == ["name", "lstm-1a2b3c-s2"]
    assert [row.name for row in select_runs([below, "lstm-1a2b3c-s3"])] == [
        "lstm-1a2b3c-s2",
        "lstm-1a2b3c-s3",
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--filter", "foo < 3"), "'foo < 3' is not a valid search for runs: "),
        (("--columns", "test/perplexit"), "'test/perplexit' (did you mean test/perplexity or "),
        (("--sort", "nothing"), "none of the 3 runs has a metric, parameter or tag 'nothing'; "),
        (("--sort", "test down"), "--sort 'test down' must be COLUMN, COLUMN asc or COLUMN desc"),
        (("--json", "--columns", "name"), "--json cannot be combined with --columns"),
        (("--group", "seed", "--columns", "a"), "parameter or tag 'a'; expected such a name"),
        (("--group", "size"), "invalid choice: 'size'"),
        (("--limit", "0"), "--limit must be at least 1, got 0"),
    ],
)
def test_bad_queries(runs, capsys, flags, expected):
    error = error_of(capsys, "runs", *flags)
    assert expected in error
    assert error.count("\n") == 1


def test_a_store_that_does_not_answer(project, monkeypatch, capsys):
    """A server that accepts connections and then is silent; and one that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr("pipeline.tracking.reach._SECONDS", 0.5)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        start = time.monotonic()
        assert "no answer within " in error_of(capsys, "runs")
        assert time.monotonic() - start < 5
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    assert f"store http://127.0.0.1:{port}: connection refused; check" in error_of(capsys, "runs")


def test_a_host_name_that_is_never_resolved(project, monkeypatch, capsys):
    monkeypatch.setattr("pipeline.tracking.reach._LONGEST", 0.2)
    monkeypatch.setattr("pipeline.tracking.reach._ask", lambda uri: time.sleep(2))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.invalid")
    assert "tracking store http://tracking.invalid: no answer" in error_of(capsys, "runs")


def test_a_store_without_its_driver(project, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://u:p@127.0.0.1:9/x")
    assert "needs the Python package psycopg, which is not installed" in error_of(capsys, "runs")


def test_a_store_that_needs_a_password(runs, monkeypatch, capsys):
    def refuse(*_, **__):
        raise MlflowException("API request failed with error code 401 != 200. Response body: 'no'")

    monkeypatch.setattr("mlflow.MlflowClient.search_experiments", refuse)
    error = error_of(capsys, "runs")
    assert "needs a user name and a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_T" in error


def test_a_resumed_run_is_not_over(store, runs):
    """Its end time is that of the interrupted training, an hour and 2 seconds ago."""
    start = int(time.time() * 1000) - 3_602_000
    run_id = store.create_run("0", start_time=start, run_name="resumed").info.run_id
    store.set_terminated(run_id, "KILLED", end_time=start + 2000)
    assert rows_of()["resumed"].duration == 2
    store.update_run(run_id, status="RUNNING")
    assert 3602 <= rows_of()["resumed"].duration < 7000


def test_the_best_validation_score_of_each_kind(store, runs):
    """The highest F1 and accuracy and the lowest perplexity; nan is skipped wherever it is."""
    histories = {
        "crf-1": ("val/f1", [math.nan, 0.5, 0.7, 0.6], 0.7),
        "gru-1": ("val/perplexity", [math.nan, 120.0, 99.5, 101.0], 99.5),
    }
    for run, (name, values, _) in histories.items():
        for step, value in enumerate(values):
            store.log_metric(runs[run], name, value, step=step)
    rows = rows_of()
    for run, (_, _, best) in histories.items():
        assert rows[run].val == best
    store.log_metric(runs["crf-1"], "best/val_accuracy", 0.25)
    crf = rows_of()["crf-1"]
    assert (crf.metric, crf.val) == ("accuracy", 0.25)  # the score that selects checkpoints


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


def test_find_a_deleted_run(store, runs):
    store.delete_run(runs["crf-1"])
    for name in ("crf-1", runs["crf-1"], runs["crf-1"][:10]):
        with refuses(
            f"run {name} was deleted; restore it with "
            f"`mlflow runs restore --run-id {runs['crf-1']}`"
        ):
            find_run(name)


def test_no_store_yet(project):
    for ask in (rows_of, lambda: find_run("a"), lambda: download("a", "b", project)):
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
    with pytest.raises(InputError, match="no file checkpoints, but a folder or link"):
        download(run_id, "checkpoints", target)
    assert [path.name for path in target.iterdir()] == ["best.ckpt"]
    (target / "config.yaml").mkdir()
    with pytest.raises(InputError, match=r"config\.yaml is an existing folder; remove it$"):
        download(run_id, "config.yaml", target)
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
