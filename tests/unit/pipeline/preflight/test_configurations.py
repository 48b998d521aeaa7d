"""Configurations by name: local files, then shipped ones; overlays and missing classes."""

from pathlib import Path

import pytest

from pipeline.__main__ import SHORT_NAMES
from pipeline.errors import InputError
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check, find_configuration
from pipeline.preflight.configurations import SHIPPED, configurations
from tests.examples import refuses


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str = "model: null\n") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


SPELLINGS = ["lm/ptb-kn5", "lm/ptb-kn5.yaml", "configs/lm/ptb-kn5", "./configs/lm/ptb-kn5.yaml"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_shipped_configurations_are_found_from_anywhere(name):
    assert find_configuration(name) == SHIPPED / "lm/ptb-kn5.yaml"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        *((name, "configs/lm/ptb-kn5.yaml") for name in SPELLINGS),
        *((name, "lm/ptb-kn5.yaml") for name in SPELLINGS if "configs" not in name),
    ],
)
def test_local_configurations_come_first(name, file):
    path = write(file)
    assert find_configuration(name) == path
    assert find_configuration(str(path.resolve())) == path.resolve()


def test_other_values_of_the_flag():
    assert find_configuration("{model: x}") == Path("{model: x}")
    write("lm/ptb-kn5/file.txt")  # a folder of that name
    assert find_configuration("lm/ptb-kn5") == SHIPPED / "lm/ptb-kn5.yaml"
    for name in ("", "lm", "nothing/like/it"):
        with pytest.raises(InputError):
            find_configuration(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lm/ptb-kn6", "lm/ptb-kn5"),
        ("ptb-kn5", "lm/ptb-kn5"),
        ("tagging/ptb-kn5", "lm/ptb-kn5"),
        ("overlays/cell/gru", "overlays/cells/gru"),
        ("configs/lm/ptb_kn5.yaml", "lm/ptb-kn5"),
        ("mine/furst", "configs/mine/first.yaml"),
        ("secnd.yaml", "second.yaml"),
    ],
)
def test_misspelt_names(name, meant):
    write("configs/mine/first.yaml")
    write("second.yaml")
    with refuses(f"no configuration {name}; did you mean {meant}? (`unroll configs` lists all)"):
        find_configuration(name)


def test_local_configurations_are_listed_too():
    shipped = configurations()
    assert {"lm/ptb-kn5", "overlays/cells/gru", "tagging/mpqa-dse"} <= shipped.keys()
    mine = write("configs/lm/ptb-kn5.yaml")
    assert configurations() == {**shipped, "lm/ptb-kn5": mine}


def complaint(*arguments: str) -> str:
    with pytest.raises(InputError) as caught:
        check(arguments, TOP_LEVEL, SHORT_NAMES, required=("model", "data"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("overlay", "base"),
    [
        ("overlays/cells/gru", "lm/ptb-cells"),
        ("overlays/irsoy/24k-1", "tagging/mpqa-dse"),
        ("overlays/trainer/ddp", "lm/builtin-lstm"),
    ],
)
def test_an_overlay_alone(overlay, base):
    assert complaint(f"--config={overlay}", "--seed_everything=2") == (
        f"{overlay}.yaml is an overlay: it changes another configuration and cannot be used alone; "
        f"combine them, for example --config {base} --config {overlay}"
    )
    arguments = [f"--config={base}", f"--config={overlay}"]
    check(arguments, TOP_LEVEL, SHORT_NAMES, required=("model", "data"))


def test_a_configuration_without_data():
    write("run.yaml", "model: {class_path: NgramLanguageModel}\n")
    assert complaint("--config=run.yaml") == (
        "run.yaml has no `data`; add its class, or give --data=CLASS"
    )
    arguments = ["--config=run.yaml", "--data=LanguageModelData"]
    check(arguments, TOP_LEVEL, SHORT_NAMES, required=("model", "data"))
