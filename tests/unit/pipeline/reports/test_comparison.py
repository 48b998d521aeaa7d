import json
import re
from html.parser import HTMLParser

import pytest

from pipeline.reports.comparison import collect
from pipeline.reports.comparison.curves import draw_curves
from pipeline.tracking.naming import GROUP_TAG
from pipeline.tracking.table import select_runs
from tests.harness import command, error_of
from tests.unit.pipeline.reports.test_difference import run_of

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
NUMBERS = {
    "labels": {EVIL: {"precision": 0.5, "recall": 0.25, "f1": 0.33, "gold": 4, "predicted": 2}},
    "confusion": [[EVIL, EVIL, 3], [EVIL, "good", 1], ["good", "good", 6]],
    "kinds": {EVIL: 3},
}
ERRORS = f"Accuracy 0.5\n\nMost confident errors (1 of 1)\n  0.9  a -> b  (text 1)\n {EVIL}\n"


HUGE = int("9" * 400)
WRONG = [
    {"labels": {"a": {"precision": HUGE, "recall": -HUGE, "f1": True}}},
    {"confusion": [["a", "b", HUGE], ["a", "a", -HUGE], [["x"], {}, 1.5]]},
    {"kinds": {"a": HUGE}, "labels": [1], "confusion": {"a": 1}},
    {"types": {"a": [1]}},
]


def test_numbers_that_are_too_large(store):
    """The report of a run is a file of the store, which may come from someone else."""
    for number, wrong in enumerate(WRONG):
        run = run_of(store, f"run-{number}", right=[1, 0], test__accuracy=0.5)
        store.log_text(run, json.dumps(wrong), "report/report.json")
        items = {"metric": [] if number else "accuracy", "right": [HUGE], "total": [1]}
        store.log_text(run, json.dumps(items), "report/items.json")
        assert command("report", run, "--output=report.html") == 0
    deep = run_of(store, "deep", right=[1, 0], test__accuracy=0.5)
    store.log_text(deep, "[" * 10_000, "report/report.json")
    store.log_text(deep, "[" * 10_000, "report/items.json")
    assert command("report", run, deep, "--output=report.html") == 0


@pytest.fixture
def classifiers(store):
    """Two seeds of one classifier, and another one, whose name and parameter are attacks."""
    for seed, score in ((1, 0.5), (2, 0.75)):
        flags = {"seed_everything": str(seed), "model.dropout": "0"}
        run = run_of(store, f"dan-s{seed}", right=[1, 0] * 8, params=flags, test__accuracy=score)
        store.set_tag(run, GROUP_TAG, "same")
        for step in (10, 20):
            store.log_metric(run, "val/accuracy", score - 1 / step, step=step)
    flags = {"seed_everything": "1", "model.dropout": EVIL}
    run = run_of(store, EVIL, right=[1] * 16, params=flags, test__accuracy=0.875)
    store.log_metric(run, "val/accuracy", 0.5)
    store.log_text(run, json.dumps(NUMBERS), "report/report.json")
    store.log_text(run, ERRORS, "report/errors.txt")
    store.log_text(run, f"unroll train --run_name={EVIL}\n", "command.txt")
    store.set_tag(run, "mlflow.source.git.commit", EVIL)
    return run


class Tags(HTMLParser):
    """Collects the names of elements, all attributes, and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.text, self.open = set(), [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_is_self_contained_and_runs_no_script(classifiers, project, capsys):
    assert command("report", "dan-s1", "dan-s2", classifiers) == 0
    assert capsys.readouterr().err == "report: report.html\n"
    page = (project / "report.html").read_text()
    tags = Tags(page)
    assert not tags.open  # every element is closed
    assert not {"script", "img", "link", "iframe", "object"} & tags.names
    for name, value in tags.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "data"):
            assert value.startswith("#")  # within the picture
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in tags.attributes
    # name, chart legend, parameter twice (value and head), label, worst text, command, commit
    assert tags.text.count(EVIL) >= 8
    assert not re.search(r"@import|url\((?!#)", page)


def test_page_shows_means_over_seeds_and_curves(classifiers, project):
    assert command("report", "dan-s1", "dan-s2", classifiers, "--output", "a.html") == 0
    tags = Tags((project / "a.html").read_text())
    assert "dan1 20.625 ± 0.1768" in tags.text.replace("\n", "")
    assert "svg" in tags.names
    assert "val/accuracy" in tags.text
    assert "accuracy of <script>" in tags.text  # the paired test
    assert "(paired permutation test, 16 items, all exchanges)" in tags.text


def test_loss_by_word_frequency(store, project, capsys):
    """Side by side, in the order of the ranges; damaged tables and foreign names are left out."""
    for name, data in (
        ("lstm", [["1,000 to 9,999", 7, 2.5], ["0", 2, 9.25], ["1 to 9", 3, 8.0]]),
        ("kn5", [["0", 2, 9.5], ["1 to 9", 4, 7.0], ["<b>", 1, 1.0]]),
        ("damaged", [["0", "many"]]),
    ):
        run = run_of(store, name, experiment="lm/ptb", test__perplexity=100.0)
        table = {"columns": ["occurrences in training", "test tokens", "nll per token"]}
        store.log_text(run, json.dumps(table | {"data": data}), "tables/loss_by_frequency.json")
        worst = {"columns": ["nll per token", "text"], "data": [[9.1234, f"{name} <i>"]]}
        store.log_text(run, json.dumps(worst), "tables/worst_sentences.json")
    assert command("report", "lstm,kn5, damaged") == 0
    tags = Tags((project / "report.html").read_text())
    assert not {"b", "i"} & tags.names
    assert "occurrences of the word in the training text" in tags.text
    assert "9.123  kn5 <i>" in tags.text
    capsys.readouterr()
    assert command("report", "lstm,kn5", "--markdown") == 0
    text = capsys.readouterr().out.partition("## Loss by word frequency\n\n")[2]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines()[:5]]
    assert rows[:1] + rows[2:] == [
        ["occurrences in training", "test tokens", "lstm", "kn5"],
        ["0", "2", "9.25", "9.5"],
        ["1 to 9", "3", "8", "7 (4 tokens)"],
        ["1,000 to 9,999", "7", "2.5", "-"],
    ]


@pytest.mark.parametrize("name", ["test/perplexity", "best/val_perplexity", "test/nll"])
def test_low_losses_are_best(store, name):
    for run, value in (("one", 30.0), ("other", 20.0), ("third", 40.0)):
        run_of(store, run, experiment="lm/ptb", **{name: value, "test/f1": value})
    evidence = collect(select_runs(["one", "other", "third"]))
    assert evidence.best(name) == {1}
    assert evidence.best("test/f1") == {2}


def test_markdown(classifiers, capsys):
    """Nothing in it is HTML or a link, and tables have as many cells as heads."""
    assert command("report", "dan-s1", "dan-s2", classifiers, "--markdown") == 0
    text = capsys.readouterr().out
    assert "| dan | 1 2 | 0.625 ± 0.1768 |" in text
    assert "0.875 (best)" in text
    outside = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert "<" not in outside


def test_a_search_and_a_further_metric(classifiers, project, store):
    run = run_of(store, "more", test__accuracy=0.1, extra=7.0)
    search = "metrics.`test/accuracy` > 0"
    assert command("report", search, "--metric", "extra", "--output", "b.html") == 0
    text = (project / "b.html").read_text()
    assert run[:8] in text
    assert "extra" in text


def test_single_values_are_lines_and_infinite_ones_are_left_out():
    curves = {"a": [(1, 2.0), (2, float("inf")), (3, float("nan")), (4, 1.0)], "b": [(0, 3.0)]}
    svg = draw_curves("val/$x^2$<", curves, {"a": "#112233", "b": "#445566"})
    assert svg.startswith("<svg")
    assert "#112233" in svg
    assert re.search(r"stroke: #445566[^\"]*stroke-dasharray|stroke-dasharray[^\"]*#445566", svg)
    assert "val/$x^2$&lt;" in svg


def test_bad_reports(classifiers, store, project, capsys):
    """One sentence, and no file."""
    run_of(store, "lstm", experiment="lm/ptb", test__perplexity=100.0)
    store.create_run("0", run_name="busy")
    store.delete_run(run_of(store, "gone", test__accuracy=0.5))
    for flags, expected in (
        (("lstm",), "the runs have no score in common: "),
        (("busy",), "is RUNNING, so its scores are not final; wait until it ends"),
        (("gone",), "run gone was deleted; restore it with "),
        (("nobody",), "no run 'nobody'"),
        (("metrics.x > 1",), "no run matches 'metrics.x > 1'"),
        (("--metric", "test/x"), "none of the 1 runs has a metric 'test/x'; `unroll runs --json`"),
        (("--output", "no/folder.html"), "--output no/folder.html: there is no folder no"),
    ):
        error = error_of(capsys, "report", "dan-s1", *flags)
        assert expected in error.replace("none of the 2 runs", "none of the 1 runs")
        assert error.count("\n") == 1
    assert not list(project.glob("*.html"))
