"""`unroll train --seeds`: child runs that differ in the seed, and a parent run with means."""

import json
import statistics

import pytest

from pipeline.options import parse_seeds
from pipeline.run.groups import children
from tests.configs import part, small_classifier, write_config
from tests.harness import command, error_of, metrics_of_test
from tests.jobs import family, run_inside

LARGE = 4294967295


@pytest.fixture
def config(project):
    reviews = part("BuiltinReviews", num_train=60)
    changes = {"data.init_args.source": reviews, "trainer.max_epochs": 1}
    return write_config(project, small_classifier(**changes))


def test_seeds_are_interrupted_resumed_and_summed_up(project, config, monkeypatch, capsys):
    inside = run_inside(monkeypatch, children)
    inside.interrupted.add(LARGE)
    assert command("train", "--config", config, f"--seeds=2,{LARGE}", "--jobs=1") == 130
    parent, found = family(project)
    assert (parent.info.status, [*found]) == ("KILLED", [2])
    assert parent.info.run_name.endswith("-seeds2")

    config.write_text("what the file says later does not matter")
    again = ("train", "--resume", parent.info.run_id)
    assert "leaves out seed 2" in error_of(capsys, *again, f"--seeds={LARGE},")
    assert "leave --model.dropout=0 out" in error_of(capsys, *again, "--model.dropout=0")
    assert command(*again) == 0
    kept_in = f"--kept-in={project / 'outputs' / parent.info.run_id}"
    assert [kept_in in inside.commands[seed] for seed in (2, LARGE)] == [False, True]
    before = found[2].info.end_time
    parent, found = family(project)
    assert found[2].info.end_time == before
    assert {run.info.status for run in (parent, *found.values())} == {"FINISHED"}
    assert {seed: run.data.params["seed_everything"] for seed, run in found.items()} == {
        2: "2",
        LARGE: str(LARGE),
    }
    names = {seed: run.info.run_name for seed, run in found.items()}
    assert all(name.endswith(f"-s{seed}") for seed, name in names.items())
    assert len({run.data.tags["unroll.group"] for run in (parent, *found.values())}) == 1
    assert {run.data.params["config"] for run in (parent, *found.values())} == {str(config)}
    for name, mean in metrics_of_test(parent).items():
        if not name.endswith("_std"):
            scores = [run.data.metrics[name] for run in found.values()]
            assert mean == pytest.approx(statistics.fmean(scores))
            assert parent.data.metrics[f"{name}_std"] == pytest.approx(statistics.stdev(scores))
    assert "test/accuracy" in metrics_of_test(parent)
    assert "(mean and standard deviation of 2 seeds)" in parent.data.tags["mlflow.note.content"]

    capsys.readouterr()
    assert command(*again) == 0
    assert "nothing is left to do" in capsys.readouterr().err
    assert family(project)[0].info.end_time == parent.info.end_time
    assert command("runs", "--group", "seed", "--json") == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert sorted(group["seeds"]) == ["2", str(LARGE)]
    mean = group["metrics"]["test/accuracy"]["mean"]
    assert mean == pytest.approx(parent.data.metrics["test/accuracy"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds=0"], "--seeds 0: expected from 1 to 1,000 seeds"),
        (["--seeds=a"], "--seeds a: expected a number of seeds, such as 5, or a list"),
        (["--seeds=1,1"], "expected at most 1,000 different seeds"),
        (["--seeds=1,4294967296"], "different seeds from 0 to 4294967295"),
        (["--seeds=1,,2"], "expected a number of seeds"),
        (["--seeds="], "expected a number of seeds"),
        (["--seeds=2", "--seed_everything=3"], "leave --seed_everything out"),
        (["--seeds=2", "--register=name"], "--register is for one training"),
        (["--seeds=2", "--jobs=0"], "--jobs must be at least 1"),
        (["--seeds=2", "--resume=abc"], "leave --config"),
        (["--jobs=2"], "--jobs needs --seeds"),
    ],
)
def test_bad_input(project, config, capsys, flags, message):
    assert message in error_of(capsys, "train", "--config", config, *flags)
    assert not (project / "outputs").exists()


def test_a_run_without_seeds_has_none_to_add(project, capsys):
    error = error_of(capsys, "train", "--resume=abc", "--seeds=3")
    assert "no training of several seeds 'abc'" in error


def test_what_seeds_mean():
    assert parse_seeds("5") == [1, 2, 3, 4, 5]
    assert parse_seeds(" 4294967295, 0 ") == [4294967295, 0]
    assert parse_seeds("7,") == [7]
