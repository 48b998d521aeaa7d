"""Checkpoints and run folders from someone else execute nothing, whatever their configuration."""

import copy
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

from pipeline.tracking.logger import RunTracker
from tests.configs import part, small_config, small_tagger, write_config
from tests.harness import client, command, error_of, only_run

EVIL = "from pathlib import Path\nPath('marker').touch()\n\n\nclass Evil:\n    pass\n"
CALL = "touch marker"
SYSTEM = part("os.system", command=CALL)
VALUES = {
    "function": SYSTEM,
    "keyword arguments": {"class_path": "os.system", "dict_kwargs": {"command": CALL}},
    "script": part("runpy.run_path", path_name="evilmod.py"),
    "process": part("subprocess.Popen", args=CALL, shell=True),
    "module": part("evilmod.Evil"),
    "name of a module": "evilmod.Evil",
    "function of torch": part("torch.hub.load", repo_or_dir=".", model="x", source="local"),
    "loader of torch": part("torch.load", f="stranger.ckpt"),
    "function of Lightning": part("lightning.pytorch.seed_everything"),
    "another class of torch": part("torch.nn.Linear", in_features=1, out_features=1),
    "another class of Lightning": part("lightning.pytorch.Trainer"),
    "through a module of ours": part("pipeline.console.os.system", command=CALL),
    "class imported by a module of ours": part("pipeline.console.Path"),
    "text": json.dumps(SYSTEM),
    "escaped text": '{"class\\u005fpath": "os.system", "init_args": {"command": "touch marker"}}',
    "list": [SYSTEM],
    "without a class path": {"command": SYSTEM},
    "configuration file": "evil.yaml",
    "dotted keys": {"class_path": "torch.optim.Adam", "init_args": {"a.class_path": "os.system"}},
    "nested arguments": {
        "class_path": "torch.optim.Adam",
        "init_args": {"betas": [SYSTEM]},
    },
    "nested keyword arguments": {"class_path": "torch.optim.Adam", "dict_kwargs": {"x": SYSTEM}},
    "another key": {"class_path": "torch.optim.Adam", "init_arg": SYSTEM},
    "number as a class": {"class_path": 3},
    "main module": part("pipeline.__main__.EntryPoint"),
}
SLOTS = ["optimizer", "lr_scheduler", "head", "encoder", "penalty", "dropout", "unknown"]
VERBS = ["generate", "test", "validate", "predict", "score", "parameters", "gradients", "probe"]
VERBS += ["export"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a trained language model."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def folder(project, corpus, kept, capsys):
    """A folder with a trained language model and with files of an attacker."""
    if not (kept / "outputs").exists():
        file = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
        assert command("fit", f"--config={file}", "--run_name=honest") == 0
        shutil.copytree("outputs", kept / "outputs")
        shutil.copy("mlflow.db", kept / "mlflow.db")
    else:
        shutil.copytree(kept / "outputs", "outputs")
        shutil.copy(kept / "mlflow.db", "mlflow.db")
    (project / "evilmod.py").write_text(EVIL, encoding="utf-8")
    (project / "evil.yaml").write_text(yaml.safe_dump(SYSTEM), encoding="utf-8")
    (project / "text.txt").write_text("the boys who see her run\n", encoding="utf-8")
    capsys.readouterr()
    return project


def run_id(folder: Path) -> str:
    return only_run(folder).info.run_id


def best(folder: Path) -> Path:
    return folder / "outputs" / run_id(folder) / "checkpoints" / "best.ckpt"


def changed(config: dict, slot: str, value: object) -> dict:
    """The configuration with a value of an attacker in a slot."""
    config = copy.deepcopy(config)
    if slot in ("model", "data"):
        config[slot] = value
    else:
        config["model"]["init_args"][slot] = value
    return config


def stranger(folder: Path, slot: str, value: object) -> Path:
    """The trained model's checkpoint with another configuration."""
    checkpoint = torch.load(best(folder), weights_only=True)
    checkpoint["config"] = changed(checkpoint["config"], slot, value)
    torch.save(checkpoint, folder / "stranger.ckpt")
    return folder / "stranger.ckpt"


def assert_refused(capsys, *arguments: object) -> str:
    error = error_of(capsys, *arguments)
    assert not Path("marker").exists(), arguments
    assert "evilmod" not in sys.modules
    lines = [line for line in error.splitlines() if line.startswith("unroll: ")]
    assert len(lines) == 1, error
    return error


def more(verb: str) -> list[str]:
    """Further flags of a verb."""
    return {
        "score": ["--input=text.txt"],
        "export": ["--output=x.arpa"],
        "predict": ["--output=predicted.txt"],
    }.get(verb, [])


@pytest.mark.parametrize("verb", VERBS)
def test_each_slot_by_each_verb(folder, capsys, verb):
    for slot in [*SLOTS, "model", "data"]:
        file = stranger(folder, slot, SYSTEM)
        error = assert_refused(capsys, verb, f"--checkpoint={file}", *more(verb))
        assert f"{slot}" in error
        shutil.copy(file, best(folder))
        assert_refused(capsys, verb, f"--run={run_id(folder)}", *more(verb))
        _restore(folder)


def _restore(folder: Path) -> None:
    shutil.copy(best(folder).with_name("last.ckpt"), best(folder))


def shares(slots: list[str]) -> list:
    """A third of the values for each slot, each value in several; the product is slow."""
    names = list(VALUES)
    thirds = [
        pytest.param(slot, names[i % 3 :: 3], id=f"{slot}-third") for i, slot in enumerate(slots)
    ]
    wholes = [pytest.param(slot, names, id=slot, marks=pytest.mark.slow) for slot in slots]
    return thirds + wholes


@pytest.mark.parametrize(("slot", "names"), shares([*SLOTS, "model", "data"]))
def test_each_value_in_each_slot(folder, capsys, slot, names):
    for name in names:
        value = VALUES[name]
        file = stranger(folder, slot, value)
        error = assert_refused(capsys, "generate", f"--checkpoint={file}")
        assert len(error) < 1500, name


@pytest.mark.parametrize(("slot", "names"), shares(SLOTS))
def test_a_configuration_in_a_run_folder(folder, capsys, slot, names):
    file = folder / "outputs" / run_id(folder) / "config.yaml"
    honest = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name in names:
        file.write_text(yaml.safe_dump(changed(honest, slot, VALUES[name])), encoding="utf-8")
        assert_refused(capsys, "train", f"--resume={run_id(folder)}", "--trainer.max_epochs=2")
    assert only_run(folder).info.status == "FINISHED"


@pytest.mark.parametrize("key", ["callbacks", "logger", "plugins", "strategy", "profiler"])
def test_the_trainer_in_a_run_folder(folder, capsys, key):
    file = folder / "outputs" / run_id(folder) / "config.yaml"
    honest = yaml.safe_load(file.read_text(encoding="utf-8"))
    for value in (SYSTEM, [SYSTEM], part("evilmod.Evil"), [part("evilmod.Evil")]):
        config = {**honest, "trainer": {**honest["trainer"], key: value}}
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        assert_refused(capsys, "train", f"--resume={run_id(folder)}", "--trainer.max_epochs=2")


@pytest.mark.parametrize("slot", ["optimizer", "head", "encoder"])
def test_models_that_a_configuration_names(folder, corpus, opinions, capsys, slot):
    """Members of mixtures and the language model of `encoder_from`."""
    file = stranger(folder, slot, SYSTEM)
    shutil.copy(file, best(folder))
    mixture = small_config(corpus)
    for name in (str(file), run_id(folder)):
        mixture["model"] = part("MixtureLanguageModel", members=[name])
        assert_refused(capsys, "train", f"--config={write_config(folder, mixture)}")
        assert_refused(capsys, "parameters", f"--config={write_config(folder, mixture)}")
        tagger = small_tagger(opinions, **{"model.init_args.encoder_from": name})
        assert_refused(capsys, "train", f"--config={write_config(folder, tagger)}")


def test_a_member_in_the_checkpoint_of_a_mixture(folder, corpus, capsys):
    once = {"trainer.max_epochs": 1, "trainer.gradient_clip_val": None}
    mixture = small_config(corpus, **once)
    mixture["model"] = part("MixtureLanguageModel", members=[run_id(folder)])
    member = run_id(folder)
    assert command("fit", f"--config={write_config(folder, mixture)}") == 0
    [file] = [
        f for f in (folder / "outputs").glob("*/checkpoints/best.ckpt") if member not in str(f)
    ]
    assert command("generate", f"--checkpoint={file}", "--num=1") == 0
    checkpoint = torch.load(file, weights_only=True)
    honest = checkpoint["members"][0]["config"]
    for slot in SLOTS:
        checkpoint["members"][0]["config"] = changed(honest, slot, SYSTEM)
        torch.save(checkpoint, folder / "stranger.ckpt")
        assert_refused(capsys, "generate", f"--checkpoint={folder / 'stranger.ckpt'}")


def test_a_module_that_the_user_trusts(folder, capsys):
    (folder / "their_optimizers.py").write_text(
        "import torch\n\n\nclass Slow(torch.optim.SGD):\n    pass\n", encoding="utf-8"
    )
    file = stranger(folder, "optimizer", part("their_optimizers.Slow", lr=0.1))
    error = assert_refused(capsys, "generate", f"--checkpoint={file}")
    assert "model.init_args.optimizer.class_path: their_optimizers.Slow is not trusted" in error
    assert "add --trust their_optimizers" in error
    assert "their_optimizers" not in sys.modules
    trusted = ("--trust=their_optimizers", "--num=1")
    assert command("generate", f"--checkpoint={file}", *trusted) == 0
    sys.modules.pop("their_optimizers")
    assert_refused(capsys, "generate", f"--checkpoint={file}", "--trust=their_optimizers_2")
    assert_refused(capsys, "generate", f"--checkpoint={file}", "--trust=../x")


@pytest.mark.parametrize("slot", ["optimizer", "lr_scheduler", "head"])
@pytest.mark.parametrize("verb", ["train", "parameters", "gradients"])
def test_a_function_in_a_configuration_of_the_user(folder, corpus, capsys, slot, verb):
    config = changed(small_config(corpus), slot, SYSTEM)
    error = assert_refused(capsys, verb, f"--config={write_config(folder, config)}")
    assert "os.system" in error
    assert_refused(
        capsys,
        verb,
        f"--config={write_config(folder, small_config(corpus))}",
        f"--model.{slot}=os.system",
    )


@pytest.mark.parametrize("verb", ["crossvalidate", "probe"])
def test_the_plan_of_a_parent_run(folder, corpus, opinions, capsys, verb):
    """The trainings of a resumed parent run trust as little as it does."""
    tracker = RunTracker.start("attack", "parent", outputs=folder / "outputs")
    tracker.finish("KILLED")
    parent = folder / "outputs" / str(tracker.version)
    config = changed(small_config(corpus), "optimizer", SYSTEM)
    if verb == "crossvalidate":
        config = changed(small_tagger(opinions), "optimizer", SYSTEM)
        source = config["data"]["init_args"]["source"]
        config["data"]["init_args"]["source"] = part("SentenceFolds", source=source, num_folds=3)
        plan = {"name": "x", "config": config, "num_folds": 1}
        _write_plan(parent, "crossvalidation.json", plan)
        assert "os.system is not trusted" in assert_refused(capsys, verb, f"--resume={parent.name}")
        return
    plan = {"name": "x", "labels": [{"a": "b"}], "config": config, "per_range": 1}
    for flags in ([], ["--trust=evilmod", "--model.optimizer=evilmod.Evil"]):
        parent.mkdir(exist_ok=True)
        plan["arguments"] = [[f"--config={write_config(parent, config)}", *flags]]
        _write_plan(parent, "probe.json", plan)
        error = assert_refused(capsys, verb, f"--resume={parent.name}")
        why = "--trust, which only the user can give" if flags else "os.system is not trusted"
        assert why in error


def _write_plan(parent: Path, name: str, plan: dict) -> None:
    parent.mkdir(exist_ok=True)
    (parent / name).write_text(json.dumps(plan), encoding="utf-8")


@pytest.mark.parametrize("name", ["lock", "checkpoints", "report", "checkpoints/last.ckpt.part"])
def test_a_link_out_of_a_run_folder(folder, capsys, name):
    outside = folder / "documents"
    outside.mkdir()
    (outside / "thesis.txt").write_text("thesis", encoding="utf-8")
    link = folder / "outputs" / run_id(folder) / name
    if link.exists():
        link.rename(folder / "moved")
    link.symlink_to(outside if name in ("checkpoints", "report") else outside / "thesis.txt")
    error = assert_refused(capsys, "train", f"--resume={run_id(folder)}", "--trainer.max_epochs=2")
    assert "is a symbolic link that leads out of the run's folder" in error
    assert [p.name for p in outside.iterdir()] == ["thesis.txt"]
    assert (outside / "thesis.txt").read_text(encoding="utf-8") == "thesis"


def test_a_moved_run_is_resumed(folder, monkeypatch, capsys):
    shutil.move("outputs", "elsewhere")
    monkeypatch.setenv("UNROLL_OUTPUTS", str(folder / "elsewhere"))
    assert command("train", f"--resume={run_id(folder)}", "--trainer.max_epochs=2") == 0
    assert only_run(folder).data.metrics["epoch"] == 2
    assert not (folder / "outputs").exists()


def test_a_line_in_a_journal(folder, capsys):
    documents = folder / "documents"
    (documents / "below").mkdir(parents=True)
    thesis = documents / "thesis.txt"
    thesis.write_text("thesis", encoding="utf-8")
    run = folder / "outputs" / run_id(folder)
    for path in (str(thesis), "../../documents/thesis.txt"):
        line = json.dumps({"kind": "FileArtifact", "path": path, "folder": None})
        (run / "artifacts.jsonl").write_text(line + "\n", encoding="utf-8")
        error = assert_refused(capsys, "train", f"--resume={run.name}", "--trainer.max_epochs=2")
        assert "is not a file in unsent/ of the run's folder" in error
    assert thesis.read_text(encoding="utf-8") == "thesis"
    assert (documents / "below").is_dir()
    assert only_run(folder).info.status == "FINISHED"
    names = [file.path for file in client(folder).list_artifacts(run.name)]
    assert "thesis.txt" not in names


STATES = {
    "epoch": "x",
    "loops": [1],
    "optimizer_states": [{"state": {}, "param_groups": []}],
    "state_dict": {"x": torch.zeros(3)},
}


def test_states_that_do_not_fit(folder, capsys):
    """A run whose last.ckpt was made by someone else is not changed by an attempt to resume it."""
    last = best(folder).with_name("last.ckpt")
    honest = torch.load(last, weights_only=True)
    for key, value in STATES.items():
        last.unlink()  # the honest states are mapped from it
        torch.save({**honest, key: value}, last)
        error = assert_refused(
            capsys, "train", f"--resume={run_id(folder)}", "--trainer.max_epochs=2"
        )
        place = "the checkpoint to resume from is in epoch"
        assert place in error or "cannot be resumed: its states do not fit" in error, key
    assert only_run(folder).info.status == "FINISHED"


def test_weights_that_are_not_finite(folder, capsys):
    checkpoint = torch.load(best(folder), weights_only=True)
    weights = checkpoint["state_dict"]
    checkpoint["state_dict"] = {name: weight * torch.nan for name, weight in weights.items()}
    torch.save(checkpoint, folder / "stranger.ckpt")
    error = assert_refused(capsys, "generate", "--checkpoint=stranger.ckpt")
    assert "probabilities that are not numbers (nan)" in error
