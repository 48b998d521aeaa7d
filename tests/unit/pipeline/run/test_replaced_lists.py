"""A list of a later file or flag replaces the earlier list, and keeps nothing of its elements."""

import pytest
import yaml

from tests.harness import command

WORDS = "pipeline.inputs.Words"
BASE = "tagging/builtin-bilstm-crf"  # one Words with size 50 and unknown_chance 0.02


def printed(*arguments):
    """Prints the resulting configuration."""
    with pytest.raises(SystemExit, match=r"^0$"):
        command("train", *arguments, "--print_config")


@pytest.fixture
def inputs(tmp_path, capsys):
    """Returns the settings of all input parts that a configuration results in."""

    def resolve(*arguments, files=()):
        paths = []
        for number, text in enumerate(files):
            paths.append(tmp_path / f"{number}.yaml")
            paths[-1].write_text(text, encoding="utf-8")
        configs = [f"--config={name}" for name in (BASE, *paths)]
        capsys.readouterr()
        printed(*configs, *arguments)
        found = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["inputs"]
        return [(part["class_path"], part["init_args"]) for part in found]

    return resolve


def of(size, **settings):
    defaults = {
        "tuned": True,
        "unknown_chance": 0.0,
        "min_count": 1,
        "lower": False,
        "pretrained": True,
        "init_scale": 0.1,
        "unseen": "vectors",
    }
    return WORDS, {"size": size, **defaults, **settings}


def listed(*sizes):
    elements = (f"{{class_path: {WORDS}, init_args: {{size: {size}}}}}" for size in sizes)
    return f"[{', '.join(elements)}]"


def in_a_file(*sizes):
    return f"model: {{init_args: {{inputs: {listed(*sizes)}}}}}\n"


@pytest.mark.parametrize("sizes", [(60,), (60, 70)])
def test_a_flag(inputs, sizes):
    assert inputs(f"--model.inputs={listed(*sizes)}") == [of(size) for size in sizes]


@pytest.mark.parametrize("sizes", [(60,), (60, 70)])
def test_a_second_file(inputs, sizes):
    assert inputs(files=[in_a_file(*sizes)]) == [of(size) for size in sizes]


def test_a_third_file_and_a_flag(inputs):
    chance = f"[{{class_path: {WORDS}, init_args: {{size: 60, unknown_chance: 0.3}}}}]"
    files = [f"model: {{init_args: {{inputs: {chance}}}}}\n", in_a_file(70)]
    assert inputs(files=files) == [of(70)]
    assert inputs(f"--model.inputs={listed(80)}", files=files[:1]) == [of(80)]


def test_appending_keeps_the_earlier_elements(inputs):
    added = f"--model.inputs+={{class_path: {WORDS}, init_args: {{size: 60}}}}"
    assert inputs(added) == [of(50, unknown_chance=0.02), of(60)]
    assert inputs(added, added) == [of(50, unknown_chance=0.02), of(60), of(60)]


def test_one_setting_of_the_last_element(inputs):
    assert inputs("--model.inputs.size=60") == [of(60, unknown_chance=0.02)]


def test_callbacks_of_the_trainer(tmp_path, capsys):
    callback = "pipeline.callbacks.TriggeredAveraging"
    for number, settings in enumerate(("{interval: 7, monitor: val/nll}", "{interval: 9}")):
        text = f"trainer: {{callbacks: [{{class_path: {callback}, init_args: {settings}}}]}}\n"
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    files = [f"--config={tmp_path / name}" for name in ("0.yaml", "1.yaml")]
    printed("--config=lm/builtin-lstm", *files)
    found = yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"]
    assert found == [
        {"class_path": callback, "init_args": {"interval": 9, "monitor": "val/perplexity"}}
    ]
