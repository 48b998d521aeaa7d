"""Configuration files: wrong keys, invalid files, and the class of the model."""

from pathlib import Path

import pytest

from pipeline.__main__ import SHORT_NAMES
from pipeline.errors import InputError
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check, model_class_path
from tests.unit.pipeline.preflight.kit import CONFIG, OPTIONS, PACKAGES, accepted, complaint, write

ROOT = Path(__file__).parents[4]

WRONG = [
    (
        "hidden_size",
        "hiden_size",
        "line 12: unknown key model.init_args.encoder.init_args.hiden_size: "
        "kit.encoders.LSTM has no parameter 'hiden_size'; did you mean 'hidden_size'?",
    ),
    (
        "    encoder:",
        "    encodr:",
        "line 10: unknown key model.init_args.encodr: kit.tasks.Model has no parameter "
        "'encodr'; did you mean 'encoder'?",
    ),
    (
        "encoders.LSTM",
        "encoders.LSMT",
        None,  # the star import of kit.encoders hides its names
    ),
    (
        "kit.tasks.Model",
        "kit.tasks.Modle",
        "line 8: model.class_path: unknown class kit.tasks.Modle: module kit.tasks has no "
        "'Modle'; did you mean kit.tasks.Model?",
    ),
    (
        "monitor: score",
        "monitr: score",
        "line 5: unknown key trainer.callbacks.init_args.monitr: "
        "lightning.pytorch.callbacks.EarlyStopping has no parameter 'monitr'; did you mean "
        "'monitor'?",
    ),
    (
        "  max_epochs: 3",
        "  max_epochs: three",
        "line 2: trainer.max_epochs: expected a whole number or null, got 'three'",
    ),
    (
        "trainer:",
        "trainr:",
        "line 1: unknown key trainr: there is no field 'trainr'; did you mean 'trainer'?",
    ),
    (
        "model:",
        "checkpoint: {every: 3}\nmodel:",
        "line 7: unknown key checkpoint.every: there is no field "
        "'checkpoint.every'; did you mean 'checkpoint.every_n'?",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_wrong_key_is_reported_with_its_line(kit, old, new, message, parser):
    path = kit / "wrong.yaml"
    path.write_text(CONFIG.replace(old, new, 1))
    assert not accepted(parser, ["--config", "wrong.yaml"])
    if message is None:
        check(["--config", "wrong.yaml"], OPTIONS, packages=PACKAGES)
    else:
        assert complaint("--config", "wrong.yaml") == f"wrong.yaml {message}"


def test_a_file_that_is_no_configuration(kit):
    (kit / "latin.yaml").write_bytes("model: Model # für".encode("latin-1"))
    (kit / "torn.yaml").write_text("model:\n  class_path: [kit\n")
    (kit / "list.yaml").write_text("- model\n")
    (kit / "folder").mkdir(exist_ok=True)
    assert complaint("-c", "latin.yaml") == "latin.yaml is not UTF-8 (byte 16); save it as UTF-8"
    assert complaint("-c", "torn.yaml") == (
        "torn.yaml line 3, column 1 is not YAML: expected ',' or ']', but got '<stream end>'"
    )
    assert complaint("-c", "list.yaml") == (
        "list.yaml contains no mapping; a configuration consists of keys with values, such as "
        "`trainer:`, `model:` and `data:`"
    )
    assert complaint("-c", "folder") == "folder is a folder; --config takes a YAML file or a name"


def test_a_missing_file_is_reported_with_the_nearest(kit):
    write(kit / "configs/lm/ptb-lstm-small.yaml", CONFIG)
    write(kit / "configs/lm/ptb-gru.yaml", CONFIG)
    meant = "; did you mean configs/lm/ptb-lstm-small.yaml?"
    known = " (`unroll configs` lists all)"
    for name in ("configs/lm/ptb-lstm-smal.yaml", "ptb-lstm-small.yaml", "configs/ptb-lstm-small"):
        assert complaint("--config", name) == f"no configuration {name}{meant}{known}"
    assert complaint("--config=zzzzzz") == f"no configuration zzzzzz{known}"


VARIANTS = ROOT / "configs" / "probes" / "agreement.yaml"
CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path != VARIANTS)


def test_variants_are_for_another_verb():
    with pytest.raises(
        InputError, match=r"several trainings; run them with `unroll probe --config .*agreement"
    ):
        check([f"--config={VARIANTS}"], TOP_LEVEL, SHORT_NAMES)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: p.name)
def test_shipped_configurations_pass(config, monkeypatch):
    monkeypatch.chdir(ROOT)
    check([f"--config={config}"], TOP_LEVEL, SHORT_NAMES)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["-c", "run.yaml"], "kit.tasks.Model"),
        (["--config={model: Model}"], "kit.tasks.Model"),
        (["-c", "run.yaml", "--model=mine.MyModel", "--model.rate=3"], "mine.MyModel"),
        (["-c", "run.yaml", "--model.class_path=mine.MyModel"], "mine.MyModel"),
        (["--model=mine.MyModel", "-c", "run.yaml"], "kit.tasks.Model"),
        (["--model={class_path: mine.Renamed}", "--precision=16"], "kit.tasks.Model"),
        (["--model=torch.nn.unseen"], "torch.nn.unseen"),
        (["--data.bptt=3", "--trainer.max_epochs=2"], None),
        (["-c", "run.yaml", "--model=null"], None),
    ],
)
def test_the_class_of_the_model(kit, arguments, path):
    write(
        kit / "mine.py",
        """
        from kit.tasks import Model
        from kit.tasks import Model as Renamed

        class MyModel(Model):
            pass
        """,
    )
    assert model_class_path(arguments, PACKAGES) == path
