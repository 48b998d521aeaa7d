"""A killed and resumed run equals an uninterrupted one."""

import os
import random
import signal

import pytest

from pipeline.__main__ import ENTRY_POINT
from pipeline.cli.main import main
from tests.harness import history, only_run, small_config, start, unroll, wait_for, write_config

DDP = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")


def kill_at(project, config, flags, is_time):
    process = start("train", "--config", str(config), *flags)
    wait_for(lambda: is_time() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("flags", [(), DDP], ids=["one-process", "two-processes"])
def test_kill_and_resume(tmp_path_factory, project, corpus, monkeypatch, flags):
    """All losses and scores are bit-identical with dropout, in one run, each step once."""
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 3}))
    whole = tmp_path_factory.mktemp("whole")
    monkeypatch.chdir(whole)
    done = unroll("train", "--config", str(config), *flags)
    assert done.returncode == 0, done.stderr
    expected = only_run(whole)

    broken = tmp_path_factory.mktemp("broken")
    monkeypatch.chdir(broken)
    wanted = random.randrange(2, 12)  # a random step
    saves = []

    def has_saved_often_enough():
        for path in (broken / "outputs").glob("*/checkpoints/last.ckpt"):
            stamp = path.stat().st_mtime_ns
            if stamp not in saves:
                saves.append(stamp)
        return len(saves) >= wanted

    kill_at(broken, config, flags, has_saved_often_enough)
    run_id = only_run(broken).info.run_id
    done = unroll("train", "--resume", run_id[:8])
    assert done.returncode == 0, done.stderr

    run = only_run(broken)
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    for key in (
        "train/loss",
        "train/grad_norm",
        "learning_rate",
        "epoch",
        "tokens_seen",
        "val/perplexity",
        "best/val_perplexity",
        "test/perplexity",
    ):
        assert history(broken, run_id, key) == history(whole, expected.info.run_id, key), key


def test_each_position_of_the_checkpoint(project, corpus, monkeypatch):
    """Resuming from any update, also next to a validation, gives the same losses."""
    changes = {
        "trainer.max_epochs": 3,
        "trainer.enable_progress_bar": False,
        "data.init_args.bptt": 80,
    }
    config = write_config(project, small_config(corpus, **changes))
    folder = project / "whole"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["fit", "--config", str(config)], ENTRY_POINT) == 0
    run = only_run(folder)
    expected = history(folder, run.info.run_id, "train/loss")
    scores = history(folder, run.info.run_id, "val/perplexity")
    for stop in range(2, len(expected), 3):
        folder = project / str(stop)
        folder.mkdir()
        monkeypatch.chdir(folder)
        flags = [f"--trainer.max_steps={stop}", "--checkpoint_every=1"]
        assert main(["fit", "--config", str(config), *flags], ENTRY_POINT) == 0
        run_id = only_run(folder).info.run_id
        assert main(["fit", "--resume", run_id, "--trainer.max_steps=-1"], ENTRY_POINT) == 0
        assert history(folder, run_id, "train/loss") == expected, stop
        assert history(folder, run_id, "val/perplexity") == scores, stop


def test_plateau_schedule_and_validation_within_epochs(project, corpus, monkeypatch):
    """Resuming right before a schedule step or a validation loses neither."""
    plateau = {
        "class_path": "lightning.pytorch.cli.ReduceLROnPlateau",
        "init_args": {"monitor": "val/perplexity", "factor": 0.5, "patience": 0, "threshold": 0.5},
    }
    changes = {
        "trainer.max_epochs": 3,
        "trainer.val_check_interval": 4,
        "data.init_args.bptt": 50,
        "model.init_args.lr_scheduler": plateau,
        "checkpoint_every": 1,
    }
    config = write_config(project, small_config(corpus, **changes))
    folder = project / "whole"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["fit", "--config", str(config)], ENTRY_POINT) == 0
    run_id = only_run(folder).info.run_id
    keys = ("train/loss", "val/perplexity", "learning_rate", "best/val_perplexity")
    expected = {key: history(folder, run_id, key) for key in keys}
    assert {rate for _, rate in expected["learning_rate"]} == {0.01, 0.005}
    for stop in (4, 5, 9, len(expected["train/loss"]) // 3, len(expected["train/loss"]) // 3 + 1):
        folder = project / str(stop)
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert (
            main(["fit", "--config", str(config), f"--trainer.max_steps={stop}"], ENTRY_POINT) == 0
        )
        run_id = only_run(folder).info.run_id
        assert main(["fit", "--resume", run_id, "--trainer.max_steps=-1"], ENTRY_POINT) == 0
        assert {key: history(folder, run_id, key) for key in keys} == expected, stop


def test_one_process_at_a_time(project, corpus, capsys):
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1000}))
    process = start("train", "--config", str(config))
    wait_for(lambda: any((project / "outputs").glob("*/checkpoints/last.ckpt")))
    (folder,) = (project / "outputs").iterdir()
    assert main(["train", "--resume", folder.name], ENTRY_POINT) == 2
    assert "is being trained by another process" in capsys.readouterr().err
    assert only_run(project).info.status == "RUNNING"
    process.kill()
    process.communicate()


def test_accumulated_gradients(project, corpus, monkeypatch):
    """With accumulated gradients an update is one step, and checkpoints are between updates."""
    changes = {"trainer.accumulate_grad_batches": 2, "checkpoint_every": 1}
    config = write_config(project, small_config(corpus, **changes))
    histories = []
    for name, flags in (("whole", []), ("broken", ["--trainer.max_steps=8"])):
        (project / name).mkdir()
        monkeypatch.chdir(project / name)
        assert main(["fit", "--config", str(config), *flags], ENTRY_POINT) == 0
        run_id = only_run(project / name).info.run_id
        if flags:
            assert main(["fit", "--resume", run_id, "--trainer.max_steps=-1"], ENTRY_POINT) == 0
        histories.append(history(project / name, run_id, "train/loss"))
    whole, broken = histories
    assert [step for step, _ in whole] == list(range(1, len(whole) + 1))
    assert broken == whole


def test_without_validation_the_last_weights_are_kept(project, corpus, capsys):
    config = write_config(project, small_config(corpus))
    assert main(["train", "--config", str(config), "--trainer.max_steps=3"], ENTRY_POINT) == 0
    assert "best.ckpt has the last weights" in capsys.readouterr().err
    run = only_run(project)
    assert (project / "outputs" / run.info.run_id / "checkpoints" / "best.ckpt").is_file()
    assert run.data.metrics["test/tokens"] > 0


def test_nothing_to_go_on_from(project, corpus):
    done = unroll("train", "--resume", "no-such-run")
    assert done.returncode == 2
    assert "no files of a run 'no-such-run'" in done.stderr
