"""The plan in the folder of a sweep may be from someone else: each value is checked first."""

import json

import pytest

from pipeline.errors import InputError
from pipeline.run.sweep.plan import read_sweep, refuse_changes

PLAN = {
    "name": "x",
    "config": {},
    "arguments": ["--config=base-0.yaml", "--model.bias", "-1"],
    "space": {"model.dropout": [0.1, 0.2], "model.lr": {"low": 1, "high": 2, "log": True}},
    "settings": {
        "metric": "val/f1",
        "direction": "max",
        "sampler": "tpe",
        "pruner": "none",
        "seed": 1,
    },
    "trials": 3,
    "storage": "",
}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_OUTPUTS", str(tmp_path))
    (tmp_path / "abc").mkdir()

    def store(**change):
        (tmp_path / "abc" / "sweep.json").write_text(json.dumps(PLAN | change), encoding="utf-8")

    return store


def settings(**change):
    return {"settings": PLAN["settings"] | change}


def test_a_plan_is_read_as_it_was_written(stored):
    stored()
    folder, plan = read_sweep("abc")
    assert (folder.run_id, plan._asdict()) == ("abc", PLAN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "is damaged"),
        ({"trials": "3"}, "is damaged"),
        ({"storage": None}, "is damaged"),
        ({"arguments": "--x"}, "is damaged"),
        ({"space": []}, "is damaged"),
        ({"space": {}}, "has no flags"),
        ({"space": {"model.dropout": []}}, "the list of values is empty"),
        ({"space": {"model.dropout": {"low": 0, "high": [1]}}}, "expected a number"),
        ({"space": {"run_name": ["a"]}}, "run_name cannot be searched"),
        ({"space": {"trust": ["os"]}}, "has the flag --trust, which only the user can give"),
        ({"arguments": ["--register=x"]}, "has the flag --register, which only the user"),
        ({"arguments": ["-c", "x.yaml"]}, "has the configuration x.yaml; expected a file in"),
        (settings(metric=1), "settings.metric has a wrong value"),
        (settings(sampler="cma"), "settings.sampler has a wrong value"),
        (settings(pruner=["none"]), "settings.pruner has a wrong value"),
        (settings(direction={}), "settings.direction has a wrong value"),
        (settings(seed=True), "settings.seed has a wrong value"),
        (settings(more=1), "is damaged"),
    ],
)
def test_a_wrong_value_is_one_sentence(stored, change, message):
    stored(**change)
    with pytest.raises(InputError, match=message) as raised:
        read_sweep("abc")
    assert "\n" not in str(raised.value)


def test_a_database_that_a_plan_names_is_not_connected_to_unless_the_user_names_it(stored):
    stored(storage="postgresql://***@host/a")
    _, plan = read_sweep("abc")
    with pytest.raises(InputError, match="give its address again with --storage"):
        refuse_changes(plan, None, None)
    refuse_changes(plan, None, "postgresql://ann:pass-word@host/a")
    with pytest.raises(InputError, match=r"--storage differs.*; give that one"):
        refuse_changes(plan, None, "postgresql://ann:pass-word@other/a")
    stored()
    _, plan = read_sweep("abc")
    with pytest.raises(InputError, match=r"--storage differs.*; leave it out"):
        refuse_changes(plan, None, "sqlite:///a.db")
