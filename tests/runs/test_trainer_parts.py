"""The trainer section of a resumed run folder writes, sends and removes nothing outside of it."""

from pathlib import Path

import pytest
import torch
import yaml

from tests.configs import part, small_config, write_config
from tests.harness import command, error_of, fit, only_run

CALLBACKS = "lightning.pytorch.callbacks"


def attacks(outside: Path) -> dict[str, dict]:
    """Sections of the trainer that would write to a folder, or remove files in it."""
    thesis = str(outside / "thesis.txt")
    checkpoints = {"checkpoint_io": part("lightning.fabric.plugins.TorchCheckpointIO")}
    return {
        "ModelCheckpoint": {"callbacks": [part(f"{CALLBACKS}.ModelCheckpoint", dirpath=thesis)]},
        "OnExceptionCheckpoint": {
            "callbacks": [part(f"{CALLBACKS}.OnExceptionCheckpoint", dirpath=str(outside))]
        },
        "BestCheckpoint": {
            "callbacks": [
                part(
                    "pipeline.callbacks.BestCheckpoint",
                    path=thesis,
                    monitor="val/perplexity",
                    mode="min",
                )
            ]
        },
        "PeriodicCheckpoint": {
            "callbacks": part("pipeline.callbacks.PeriodicCheckpoint", path=thesis, every_n_steps=1)
        },
        "TestReport": {"callbacks": part("pipeline.callbacks.TestReport", folder=str(outside))},
        "CSVLogger": {"logger": [part("lightning.pytorch.loggers.CSVLogger", save_dir=thesis)]},
        "MLFlowLogger": {
            "logger": part(
                "lightning.pytorch.loggers.MLFlowLogger", tracking_uri="http://a.example"
            )
        },
        "AdvancedProfiler": {
            "profiler": part(
                "lightning.pytorch.profilers.AdvancedProfiler",
                dirpath=str(outside),
                filename="thesis",
            )
        },
        "AsyncCheckpointIO": {"plugins": [part("lightning.pytorch.plugins.AsyncCheckpointIO")]},
        "TorchCheckpointIO": {
            "strategy": part("lightning.pytorch.strategies.SingleDeviceStrategy", **checkpoints)
        },
    }


@pytest.fixture
def run(project, corpus, monkeypatch) -> Path:
    """The folder of a trained run, next to a folder with a thesis."""
    file = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    run_id = fit(project, monkeypatch, f"--config={file}")
    (project / "documents").mkdir()
    (project / "documents" / "thesis.txt").write_text("thesis", encoding="utf-8")
    return project / "outputs" / run_id


def change(run: Path, trainer: dict) -> None:
    file = run / "config.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["trainer"] |= {"callbacks": None, "logger": None, "profiler": None} | trainer
    config["trainer"]["plugins"] = trainer.get("plugins")
    config["trainer"]["strategy"] = trainer.get("strategy", "auto")
    file.write_text(yaml.safe_dump(config), encoding="utf-8")


def test_parts_that_write_elsewhere_are_refused(project, run, capsys):
    documents = project / "documents"
    for name, trainer in attacks(documents).items():
        change(run, trainer)
        error = error_of(capsys, "train", f"--resume={run.name}", "--trainer.max_epochs=2")
        assert "a run folder cannot name" in error, name
        assert f".{name}, which can write, remove or send files outside of it" in error, name
    assert [(p.name, p.read_text()) for p in documents.iterdir()] == [("thesis.txt", "thesis")]
    assert only_run(project).info.status == "FINISHED"


def test_the_state_of_a_callback_names_files_to_remove(project, run, capsys):
    """`ModelCheckpoint` removes, with all below, what its state calls a worse checkpoint."""
    victim = project / "documents"
    callback = part(f"{CALLBACKS}.ModelCheckpoint", dirpath=str(project), monitor="val/perplexity")
    change(run, {"callbacks": [callback]})
    file = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    key = (
        "ModelCheckpoint{'monitor': 'val/perplexity', 'mode': 'min', 'every_n_train_steps': 0, "
        "'every_n_epochs': 1, 'train_time_interval': None}"
    )
    checkpoint["callbacks"][key] = {
        "dirpath": str(project),
        "best_model_score": torch.tensor(1e9),
        "best_model_path": str(victim),
        "best_k_models": {str(victim): torch.tensor(1e9)},
        "kth_best_model_path": str(victim),
        "kth_value": torch.tensor(1e9),
        "last_model_path": "",
        "current_score": None,
    }
    torch.save(checkpoint, file)
    resume = ("train", f"--resume={run.name}", "--trainer.max_epochs=2")
    assert "add --trust lightning.pytorch.callbacks.model_checkpoint" in error_of(capsys, *resume)
    assert (victim / "thesis.txt").is_file()
    assert command(*resume, f"--trust={CALLBACKS}") == 0
    assert not victim.exists()  # the attack works where it is not refused


def test_harmless_parts_are_accepted(project, run):
    stopping = part(f"{CALLBACKS}.EarlyStopping", monitor="val/perplexity", patience=9)
    monitor = part("pipeline.callbacks.GradientMonitor")
    change(run, {"callbacks": [stopping, monitor]})
    assert command("train", f"--resume={run.name}", "--trainer.max_epochs=2") == 0
    assert only_run(project).data.metrics["epoch"] == 2
