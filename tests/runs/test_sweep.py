"""`unroll sweep`: trials are child runs, none is lost or repeated, and the best can be trained."""

import json
import os
import signal

import psutil
import pytest

pytest.importorskip("optuna")

from pipeline.run.sweep import trials
from pipeline.run.sweep.plan import Plan
from pipeline.run.sweep.study import SweepSettings
from pipeline.tracking.logger import RunTracker
from tests.configs import part, small_classifier, write_config
from tests.harness import all_runs, command, error_of, start, unroll, wait_for
from tests.jobs import family, run_inside

REVIEWS = part("BuiltinReviews", num_train=60)
SPACE = (
    "model.encoder.hidden_size: [6, 8]\nmodel.optimizer.lr: {low: 0.001, high: 0.1, log: true}\n"
)


@pytest.fixture
def files(project):
    """Flags for a small configuration and a search space."""
    config = write_config(project, small_classifier(**{"data.init_args.source": REVIEWS}))
    (project / "space.yaml").write_text(SPACE)
    return ["--config", str(config), "--space", "space.yaml"]


@pytest.fixture
def inside(monkeypatch):
    return run_inside(monkeypatch, trials)


def test_a_sweep_is_interrupted_and_resumed_and_its_best_trains(project, files, inside, capsys):
    inside.interrupted.add(1)
    assert command("sweep", *files, "--trials=2", "--jobs=1") == 130
    parent, found = family(project)
    assert (parent.info.status, [*found]) == ("KILLED", [0])
    message = error_of(capsys, "sweep", "--resume", parent.info.run_id, "--pruner=none")
    assert "leave --pruner out" in message
    (project / "other.yaml").write_text("model.encoder.hidden_size: [6, 9]\n")
    message = error_of(capsys, "sweep", "--resume", parent.info.run_id, "--space=other.yaml")
    assert "--space differs" in message
    assert family(project)[0].info.status == "KILLED"

    again = ["sweep", "--resume", parent.info.run_id, "--space", "space.yaml"]
    assert command(*again) == 0
    parent, found = family(project)
    assert parent.info.status == "FINISHED"
    assert {n: run.info.status for n, run in found.items()} == dict.fromkeys(range(2), "FINISHED")
    assert not any(name.startswith("test/") for run in found.values() for name in run.data.metrics)
    scores = {n: run.data.metrics["best/val_accuracy"] for n, run in found.items()}
    assert parent.data.metrics["best/val_accuracy"] == max(scores.values())
    folder = project / "outputs" / parent.info.run_id
    for name in ("importance.png", "parallel_coordinates.png", "trials.tsv", "best.yaml"):
        assert (folder / name).stat().st_size > 100
    assert parent.data.tags["unroll.group"] == parent.info.run_name
    kept_in = f"--kept-in={folder}"
    assert [kept_in in inside.commands[number] for number in range(2)] == [False, True]
    assert {run.data.params["config"] for run in (parent, *found.values())} == {files[1]}
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith(f"**best val/accuracy {max(scores.values()):.5g}**, test/accuracy")
    assert "unroll train --config best.yaml" in note
    assert all(run.info.run_id[:8] in note for run in found.values())
    rows = [row.split("\t") for row in (folder / "trials.tsv").read_text().splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        [str(n), found[n].info.run_id, "COMPLETE"] for n in range(2)
    ]

    capsys.readouterr()
    assert command(*again) == 0  # says that nothing is left, and changes nothing
    assert "nothing is left to do" in capsys.readouterr().err
    assert family(project)[0].info.end_time == parent.info.end_time

    assert command("train", "--config", folder / "best.yaml", "--experiment=best") == 0
    trained = next(run for run in all_runs(project) if run.info.run_name.startswith("lstm"))
    assert trained.data.metrics["best/val_accuracy"] == parent.data.metrics["best/val_accuracy"]
    assert trained.data.metrics["test/accuracy"] == parent.data.metrics["test/accuracy"]


def test_a_pruned_trial_is_finished_and_never_the_best(project, files, inside, monkeypatch):
    reported = {}

    def report(self, number, scores):
        reported[number] = scores
        return number == 1

    monkeypatch.setattr("pipeline.run.sweep.study.Study.report", report)
    flags = ["--trials=2", "--sampler=random", "--metric=val/macro_f1", "--direction=min"]
    assert command("sweep", *files, *flags) == 0
    parent, found = family(project)
    assert {n: run.data.tags.get("pruned") for n, run in found.items()} == {0: None, 1: "true"}
    assert found[1].info.status == "FINISHED"
    assert parent.data.metrics["trials/pruned"] == parent.data.metrics["trials/complete"] == 1
    assert parent.data.tags["best_trial"] == "0"
    assert len(reported[0]) == 2  # epochs


@pytest.mark.parametrize(
    ("space", "flags", "message"),
    [
        ("model.encoder.hiden_size: [6]", [], "did you mean 'hidden_size'?"),
        ("model.encoder.hidden_size: [6, large]", [], "expected a whole number, got 'large'"),
        (
            "model.encoder.hidden_size: {low: 1.5, high: 3}",
            [],
            "expected a whole number, got '1.5'",
        ),
        ("model.encoder: [LSTM, LSTN]", [], "LSTN"),
        ("model.dropout: []", [], "the list of values is empty"),
        ("model.dropout: {low: 0.5, high: 0.1}", [], "low 0.5 is above high 0.1"),
        ("model.dropout: {low: 0.1, high: 0.5}", ["--sampler=grid"], "give it a list or a `step`"),
        (SPACE, ["--metric=val/bleu", "--direction=max"], "--metric val/bleu: no such score"),
        (SPACE, ["--metric=test/accuracy"], "--metric test/accuracy: no such score"),
        (SPACE, ["--metric=val/macro_f1"], "needs --direction"),
        (SPACE, ["--sampler=bayes"], "--sampler bayes: expected one of tpe, random, grid"),
        (SPACE, ["--storage=nosql://a/b"], "--storage nosql://a/b cannot be used"),
        (
            SPACE,
            ["--storage=postgresql+psycopg2://u:pass-word@localhost:1/b"],
            "--storage postgresql+psycopg2://",
        ),
        (SPACE, ["--trials=0"], "--trials must be at least 1"),
        (SPACE, ["--resume=abc"], "continues the sweep with its own settings"),
        (SPACE, ["--trials=100001"], "--trials 100001: at most 100,000"),
        (SPACE, ["--jobs=0"], "--jobs must be at least 1"),
        ("model.dropout: {low: 0.0, high: 0.9, step: 1e-9}", ["--sampler=grid"], "at most 100,000"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    project, files, capsys, space, flags, message
):
    (project / "space.yaml").write_text(space)
    before = sorted(path.name for path in project.rglob("*") if "cache" not in path.parts)
    error = error_of(capsys, "sweep", *files, *flags)
    assert message in error
    assert "pass-word" not in error
    after = sorted(path.name for path in project.rglob("*") if "cache" not in path.parts)
    assert after == before


def test_a_finished_grid_has_no_more_combinations(project, capsys):
    tracker = RunTracker.start("grids", "parent", outputs=project / "outputs")
    tracker.finish("FINISHED")
    settings = SweepSettings("val/accuracy", "max", "grid", "none", 1)._asdict()
    plan = Plan("x", {}, [], {"model.dropout": [0.1, 0.2]}, settings, 2, "")
    folder = project / "outputs" / str(tracker.version)
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(plan._asdict()))
    assert command("sweep", "--resume", folder.name, "--trials=100") == 0
    assert "finished: 2 trials; nothing is left to do" in capsys.readouterr().err
    assert all_runs(project)[0].info.status == "FINISHED"


def test_a_missing_search_space_sweep_or_package(project, files, capsys, monkeypatch):
    assert "--space FILE is missing" in error_of(capsys, "sweep", *files[:2])
    assert "no sweep 'abc'" in error_of(capsys, "sweep", "--resume=abc")
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert "pip install 'unroll[sweep]'" in error_of(capsys, "sweep", *files)


@pytest.mark.slow
def test_a_sweep_that_is_killed_and_ended_has_each_trial_once(project, files):
    outputs = project / "outputs"
    arguments = ["sweep", *files, "--trials=4", "--pruner=none"]
    arguments += ["--trainer.max_epochs=4", "--data.source.num_train=600"]
    for number, wanted in ((signal.SIGKILL, 1), (signal.SIGTERM, 3)):
        process = start(*arguments, "--jobs=2")

        def is_far_enough(least=wanted, process=process):
            found = [*outputs.glob("*/trials/*.jsonl")]
            return process.poll() is not None or len(found) >= least

        wait_for(is_far_enough, 300)
        assert process.poll() is None, process.communicate(timeout=30)[0]
        trainings = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, number)
        said, _ = process.communicate(timeout=60)
        if number == signal.SIGTERM:
            assert process.returncode == 143, said
            assert not any(one.is_running() for one in trainings)
            states = {run.info.status for run in all_runs(project)}
            assert states == {"KILLED", "FINISHED"}
        wait_for(lambda left=trainings: not any(one.is_running() for one in left))
        (plan,) = outputs.glob("*/sweep.json")
        arguments = ["sweep", "--resume", plan.parent.name]
    done = unroll(*arguments, "--jobs=2", timeout=300)
    assert done.returncode == 0, done.stderr
    parent, found = family(project)
    assert parent.info.status == "FINISHED"
    assert {n: run.info.status for n, run in found.items()} == dict.fromkeys(range(4), "FINISHED")
    assert {run.data.params["config"] for run in (parent, *found.values())} == {files[1]}
