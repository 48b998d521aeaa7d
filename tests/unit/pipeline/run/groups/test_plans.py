"""The plan in the folder of a parent run has fields of the right types, and no huge numbers."""

import json

import pytest

from pipeline.errors import InputError
from pipeline.run.groups.crossvalidate import crossvalidate
from pipeline.run.groups.parents import read_plan

PLAN = {"name": "x", "config": {"data": {}}, "num_folds": 3}
WRONG = [
    {"num_folds": 10**9},
    {"num_folds": 0},
    {"num_folds": True},
    {"num_folds": "3"},
    {"num_folds": 2.5},
    {"name": ["x"]},
    {"config": [1]},
    {"config": None},
]


@pytest.fixture
def parent(tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_OUTPUTS", str(tmp_path))
    (tmp_path / "abc").mkdir()
    return tmp_path / "abc"


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_a_wrong_value_is_found_before_the_run_is_opened(parent, change):
    (parent / "crossvalidation.json").write_text(json.dumps(PLAN | change), encoding="utf-8")
    with pytest.raises(InputError, match=r"damaged: expected a JSON object with name, config"):
        crossvalidate([], "abc", None, None)
    assert [file.name for file in parent.iterdir()] == ["crossvalidation.json"]


@pytest.mark.parametrize("wrong", [[["a", 1]], [None], ["a"], {"a": "b"}, [{}]], ids=str)
def test_elements_of_lists_are_checked(parent, wrong):
    (parent / "p.json").write_text(json.dumps({"name": "x", "arguments": wrong}), encoding="utf-8")
    with pytest.raises(InputError, match=r"p\.json is damaged"):
        read_plan("abc", "p.json", "comparison", {"name": str, "arguments": list[list[str]]})
