"""A run that was killed and resumed is the run that was not."""

import os
import random
import signal

import pytest

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
    """Every loss and score is bit-identical, in one finished run, each step once; dropout is on."""
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 3}))
    whole = tmp_path_factory.mktemp("whole")
    monkeypatch.chdir(whole)
    done = unroll("train", "--config", str(config), *flags)
    assert done.returncode == 0, done.stderr
    expected = only_run(whole)

    broken = tmp_path_factory.mktemp("broken")
    monkeypatch.chdir(broken)
    wanted = random.randrange(2, 12)  # the moment may be any
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
    """Resuming from any update, the ones beside validation too, gives the same losses."""
    from pipeline.__main__ import run as _  # noqa: F401
    from pipeline.cli import main

    known = ("tasks.language_model", "datamodules.language_model")
    changes = {
        "trainer.max_epochs": 3,
        "trainer.enable_progress_bar": False,
        "data.init_args.bptt": 80,
    }
    config = write_config(project, small_config(corpus, **changes))
    folder = project / "whole"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["fit", "--config", str(config)], known) == 0
    run = only_run(folder)
    expected = history(folder, run.info.run_id, "train/loss")
    scores = history(folder, run.info.run_id, "val/perplexity")
    for stop in range(2, len(expected), 3):
        folder = project / str(stop)
        folder.mkdir()
        monkeypatch.chdir(folder)
        flags = [f"--trainer.max_steps={stop}", "--checkpoint_every=1"]
        assert main(["fit", "--config", str(config), *flags], known) == 0
        run_id = only_run(folder).info.run_id
        assert main(["fit", "--resume", run_id, "--trainer.max_steps=-1"], known) == 0
        assert history(folder, run_id, "train/loss") == expected, stop
        assert history(folder, run_id, "val/perplexity") == scores, stop


def test_nothing_to_go_on_from(project, corpus):
    done = unroll("train", "--resume", "no-such-run")
    assert done.returncode == 2
    assert "no files of a run 'no-such-run'" in done.stderr
