"""A killed and resumed run equals an uninterrupted one."""

import random

import pytest

from tests.configs import part, small_config, write_config
from tests.harness import (
    DDP,
    assert_resumes,
    command,
    error_of,
    fit,
    history,
    kill,
    only_run,
    start,
    unroll,
    wait_for_checkpoint,
)

KEYS = ("train/loss", "train/grad_norm", "learning_rate", "epoch", "tokens_seen", "val/perplexity")
KEYS += ("best/val_perplexity", "test/perplexity")


@pytest.mark.parametrize("flags", [(), DDP], ids=["one-process", "two-processes"])
def test_kill_and_resume(project, corpus, monkeypatch, flags):
    """All losses and scores are bit-identical with dropout, in one run, each step once."""
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 3}))
    num_saves = random.randrange(2, 12)  # a random step
    assert_resumes(project, config, monkeypatch, flags, KEYS, num_saves)


def test_each_position_of_the_checkpoint(project, corpus, monkeypatch):
    """Resuming from any update, also next to a validation, gives the same losses."""
    changes = {
        "trainer.max_epochs": 3,
        "trainer.enable_progress_bar": False,
        "data.init_args.bptt": 80,
    }
    config = write_config(project, small_config(corpus, **changes))
    whole = project / "whole"
    run_id = fit(whole, monkeypatch, "--config", config)
    expected = {key: history(whole, run_id, key) for key in ("train/loss", "val/perplexity")}
    for stop in range(2, len(expected["train/loss"]), 3):
        folder = project / str(stop)
        flags = [f"--trainer.max_steps={stop}", "--checkpoint_every=1"]
        run_id = fit(folder, monkeypatch, "--config", config, *flags)
        fit(folder, monkeypatch, "--resume", run_id, "--trainer.max_steps=-1")
        assert {key: history(folder, run_id, key) for key in expected} == expected, stop


def test_plateau_schedule_and_validation_within_epochs(project, corpus, monkeypatch):
    """Resuming right before a schedule step or a validation loses neither."""
    settings = {"monitor": "val/perplexity", "factor": 0.5, "patience": 0, "threshold": 0.5}
    plateau = part("lightning.pytorch.cli.ReduceLROnPlateau", **settings)
    changes = {
        "trainer.max_epochs": 3,
        "trainer.val_check_interval": 4,
        "data.init_args.bptt": 50,
        "model.init_args.lr_scheduler": plateau,
        "checkpoint_every": 1,
    }
    config = write_config(project, small_config(corpus, **changes))
    folder = project / "whole"
    run_id = fit(folder, monkeypatch, "--config", config)
    keys = ("train/loss", "val/perplexity", "learning_rate")
    expected = {key: history(folder, run_id, key) for key in keys}
    assert {rate for _, rate in expected["learning_rate"]} == {0.01, 0.005}
    for stop in (4, 5, 9, len(expected["train/loss"]) // 3, len(expected["train/loss"]) // 3 + 1):
        folder = project / str(stop)
        run_id = fit(folder, monkeypatch, "--config", config, f"--trainer.max_steps={stop}")
        fit(folder, monkeypatch, "--resume", run_id, "--trainer.max_steps=-1")
        assert {key: history(folder, run_id, key) for key in keys} == expected, stop


def test_one_process_at_a_time(project, corpus, capsys):
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1000}))
    process = start("train", "--config", str(config))
    wait_for_checkpoint(process, project)
    (folder,) = (project / "outputs").iterdir()
    error = error_of(capsys, "train", "--resume", folder.name)
    assert "is being trained by another process" in error
    assert only_run(project).info.status == "RUNNING"
    kill(process)


def test_accumulated_gradients(project, corpus, monkeypatch):
    """With accumulated gradients an update is one step, and checkpoints are between updates."""
    changes = {"trainer.accumulate_grad_batches": 2, "checkpoint_every": 1}
    config = write_config(project, small_config(corpus, **changes))
    histories = []
    for name, flags in (("whole", []), ("broken", ["--trainer.max_steps=8"])):
        run_id = fit(project / name, monkeypatch, "--config", config, *flags)
        if flags:
            fit(project / name, monkeypatch, "--resume", run_id, "--trainer.max_steps=-1")
        histories.append(history(project / name, run_id, "train/loss"))
    whole, broken = histories
    assert [step for step, _ in whole] == list(range(1, len(whole) + 1))
    assert broken == whole


def test_without_validation_the_last_weights_are_kept(project, corpus, capsys):
    config = write_config(project, small_config(corpus))
    assert command("train", "--config", config, "--trainer.max_steps=3") == 0
    assert "best.ckpt has the last weights" in capsys.readouterr().err
    run = only_run(project)
    assert (project / "outputs" / run.info.run_id / "checkpoints" / "best.ckpt").is_file()
    assert run.data.metrics["test/tokens"] > 0


def test_nothing_to_go_on_from(project, corpus):
    done = unroll("train", "--resume", "no-such-run")
    assert done.returncode == 2
    assert "no files of a run 'no-such-run'" in done.stderr
