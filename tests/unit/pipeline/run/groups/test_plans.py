"""The plan in the folder of a parent run has fields of the right types, and no huge numbers."""

import json

import pytest

from pipeline.checkpoints.folder import RunFolder
from pipeline.checkpoints.trust import trust
from pipeline.errors import InputError
from pipeline.run.experiment import build
from pipeline.run.groups.children import ChildTraining, as_data
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


@pytest.mark.parametrize("data", [{}, {"init_args": {"source": [1]}}], ids=str)
def test_a_configuration_without_a_source_is_found_before_the_run_is_opened(parent, data):
    plan = PLAN | {"config": {"data": data}}
    (parent / "crossvalidation.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(InputError, match=r"crossvalidation\.json of run x is damaged: expected a "):
        crossvalidate([], "abc", None, None)
    assert [file.name for file in parent.iterdir()] == ["crossvalidation.json"]


@pytest.mark.parametrize("wrong", [[["a", 1]], [None], ["a"], {"a": "b"}, [{}]], ids=str)
def test_elements_of_lists_are_checked(parent, wrong):
    (parent / "p.json").write_text(json.dumps({"name": "x", "arguments": wrong}), encoding="utf-8")
    with pytest.raises(InputError, match=r"p\.json is damaged"):
        read_plan("abc", "p.json", "comparison", {"name": str, "arguments": list[list[str]]})


EVIL = "model: {class_path: evilmod.Evil}\n"
MODULE = "open('marker', 'w')\n\n\nclass Evil:\n    pass\n"
FLAGS = [
    ["--trust=evilmod"],
    ["--trust", "evilmod"],
    ["--kept-in="],
    ["--resume=other"],
    ["--fork"],
    ["--register=m"],
    ["--debug"],
    ["--help"],
    ["-h"],
    ["--"],
    ["evilmod.Evil"],
    ["--config=http://localhost/x.yaml"],
    ["--config=../evil.yaml"],
    ["-c", "../evil.yaml"],
    ["-c../evil.yaml"],
    ["--config", "{folder}/../evil.yaml"],
    ["--config={folder}/link.yaml"],
    ["--config={folder}/a\0b"],
    ["--data.corpus"],
    ["--print_config"],
]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_flags_that_a_plan_cannot_have(parent, flags):
    (parent.parent / "evil.yaml").write_text(EVIL, encoding="utf-8")
    (parent / "link.yaml").symlink_to(parent.parent / "evil.yaml")
    given = [flag.replace("{folder}", str(parent)) for flag in flags]
    with pytest.raises(InputError, match="a training in the plan"):
        as_data(RunFolder(parent), ChildTraining(0, "x", ["--trainer.max_epochs=1", *given]))


def test_fields_of_a_plan_in_any_spelling(parent):
    """A flag cannot be taken for the value of another one, or the other way round."""
    file = parent / "0.yaml"
    file.write_text("{}", encoding="utf-8")
    given = ["--config", str(file), f"-c{file}", "--model.a", "--trust", "--data.b=-c"]
    with pytest.raises(InputError, match=r"--model\.a, which only the user can give"):
        as_data(RunFolder(parent), ChildTraining(0, "x", given))
    given[3:5] = ["--model.a", "--x y --trust=evilmod"]
    kept = as_data(RunFolder(parent), ChildTraining(0, "x", given)).arguments
    assert kept == [
        f"--kept-in={parent}",
        f"--config={file}",
        f"--config={file}",
        "--model.a=--x y --trust=evilmod",
        "--data.b=-c",
    ]


@pytest.mark.parametrize("spelling", [["--config", "F"], ["--config=F"], ["-c", "F"], ["-cF"]])
@pytest.mark.parametrize("key", ["model", "data", "trainer"])
def test_the_modules_of_a_kept_file_in_any_spelling(tmp_path, monkeypatch, spelling, key):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evilmod.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "F").write_text(f"{key}: {{class_path: evilmod.Evil}}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    trust()
    inline = (tmp_path / "F").read_text(encoding="utf-8")
    for given in (spelling, [f"--config={{{inline}}}"]):
        with pytest.raises(InputError, match=r"evilmod\.Evil is not trusted"):
            build(given, kept_in="a run folder")
    assert not (tmp_path / "marker").exists()


def test_values_of_stored_files_are_text(tmp_path, monkeypatch):
    """Neither environment variables nor tags of YAML are evaluated."""
    monkeypatch.setenv("EVIL", "evilmod.Evil")
    for text in ("model: {class_path: $EVIL}", "model: {class_path: '${oc.env:EVIL}'}"):
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"is not trusted|no name of a class|EVIL"):
            build([f"--config={tmp_path / 'config.yaml'}"], kept_in="a run folder")
