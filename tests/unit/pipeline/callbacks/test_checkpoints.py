"""When `best.ckpt` and `last.ckpt` are written, for given histories of scores and batches."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule

from pipeline.callbacks.checkpoints import BestCheckpoint, PeriodicCheckpoint, is_update
from tests.examples import value_error

PATH, MODEL = Path("best.ckpt"), LightningModule()


def trainer_with(saved, score=None, fn="fit", is_sanity_check=False):
    metrics = {} if score is None else {"val/f1": torch.tensor(score, dtype=torch.float64)}
    return SimpleNamespace(
        callback_metrics=metrics,
        state=SimpleNamespace(fn=fn),
        sanity_checking=is_sanity_check,
        save_checkpoint=lambda path: saved.append((path, score)),
    )


def saved_by(best, scores):
    saved = []
    for score in scores:
        best.on_validation_end(trainer_with(saved, score), MODEL)
    return [score for path, score in saved if path == PATH]


@pytest.mark.parametrize(
    ("mode", "scores", "expected"),
    [
        ("max", [0.1, 0.5, 0.3, 0.5, 0.6], [0.1, 0.5, 0.6]),
        ("min", [0.6, 0.5, 0.5, 0.7, 0.1], [0.6, 0.5, 0.1]),
        ("max", [-2.0, -3.0, -1.0], [-2.0, -1.0]),
        ("max", [0.5, 0.5], [0.5]),  # at equal scores the first weights stay
        ("min", [0.5, 0.5], [0.5]),
        ("min", [3.0, math.inf, 2.0], [3.0, 2.0]),
    ],
)
def test_the_best_weights_are_written(mode, scores, expected):
    best = BestCheckpoint(PATH, "val/f1", mode)
    assert saved_by(best, scores) == expected
    assert best.best == expected[-1] == (max if mode == "max" else min)(scores)


def test_only_a_validation_of_training_counts():
    best, saved = BestCheckpoint(PATH, "val/f1", "max"), []
    for trainer in (
        trainer_with(saved, 0.9, fn="validate"),
        trainer_with(saved, 0.9, fn="test"),
        trainer_with(saved, 0.9, is_sanity_check=True),
        trainer_with(saved),  # the task has no such score
    ):
        best.on_validation_end(trainer, MODEL)
    assert (best.best, saved, best.state_dict()) == (None, [], {"best": None, "latest": None})


def test_a_resumed_training_keeps_its_best_and_latest_score():
    best = BestCheckpoint(PATH, "val/f1", "max")
    saved_by(best, [0.5, 0.7, 0.4])
    resumed = BestCheckpoint(Path("moved/best.ckpt"), "val/f1", "max")
    resumed.load_state_dict(best.state_dict())
    assert resumed.best == 0.7
    trainer = SimpleNamespace(callback_metrics={})
    resumed.on_train_start(trainer, MODEL)
    assert trainer.callback_metrics == {"val/f1": 0.4}
    saved = []
    for score in (0.6, 0.8):
        resumed.on_validation_end(trainer_with(saved, score), MODEL)
    assert saved == [(Path("moved/best.ckpt"), 0.8)]


def test_a_new_training_has_no_latest_score():
    trainer = SimpleNamespace(callback_metrics={})
    BestCheckpoint(PATH, "val/f1", "max").on_train_start(trainer, MODEL)
    assert trainer.callback_metrics == {}


def loops(accumulate=1, num_batches=10, check_every_epoch=1, val_every=10, **state):
    return SimpleNamespace(
        accumulate_grad_batches=accumulate,
        num_training_batches=num_batches,
        check_val_every_n_epoch=check_every_epoch,
        val_check_batch=val_every,
        **state,
    )


def test_the_optimizer_updates_after_full_groups_and_at_the_end_of_the_epoch():
    trainer = loops(accumulate=4, num_batches=10)
    assert [index for index in range(10) if is_update(trainer, index)] == [3, 7, 9]
    assert all(is_update(loops(), index) for index in range(10))
    assert not is_update(loops(accumulate=2, num_batches=math.inf), 0)


def epochs(every, num_epochs, trainer):
    """Returns the numbers of batches, over all epochs, after which `last.ckpt` is written."""
    callback, saved, step, total = PeriodicCheckpoint(Path("last.ckpt"), every), [], 0, 0
    for _ in range(num_epochs):
        for index in range(trainer.num_training_batches):
            step += is_update(trainer, index)
            trainer.global_step = step
            trainer.fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=total))
            trainer.save_checkpoint = lambda path, done=total + 1: saved.append((str(path), done))
            callback.on_train_batch_end(trainer, MODEL, None, None, index)
            total += 1
    assert {path for path, _ in saved} <= {"last.ckpt"}
    return [done for _, done in saved]


@pytest.mark.parametrize(
    ("every", "num_epochs", "settings", "expected"),
    [
        # After the first update of each epoch, and every third; 9 is right before no validation.
        (3, 1, {}, [1, 3, 6, 9]),
        # 5 and 10 come right before a validation, so they are written one update later.
        (5, 1, {"val_every": 5}, [1, 6]),
        (10, 2, {}, [1, 11]),
        # Validation every 4 batches over all epochs: 8 and 16 are due right before one.
        (8, 2, {"check_every_epoch": None, "val_every": 4}, [1, 9, 11, 17]),
        # Validation every 4 batches of each epoch: batch 12 is the second of its epoch.
        (4, 2, {"val_every": 4}, [1, 5, 9, 11, 12, 16]),
        # Groups of 4 batches: updates after batches 4, 8 and 10, of which the last ends the epoch.
        (100, 2, {"accumulate": 4}, [4, 14]),
        (2, 1, {"accumulate": 4}, [4, 8]),
        (2, 1, {"val_every": None}, [1, 2, 4, 6, 8]),
    ],
)
def test_when_the_last_checkpoint_is_written(every, num_epochs, settings, expected):
    assert epochs(every, num_epochs, loops(**settings)) == expected


def test_the_first_checkpoint_of_an_epoch_is_passed_on():
    passed, saved = [], []
    callback = PeriodicCheckpoint(Path("last.ckpt"), 4, on_epoch=passed.append)
    epoch = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=0))
    trainer = loops(fit_loop=epoch, save_checkpoint=saved.append)
    for step in range(1, 6):
        trainer.global_step = step
        callback.on_train_batch_end(trainer, MODEL, None, None, step - 1)
        assert passed == [Path("last.ckpt")]
    assert saved == [Path("last.ckpt")] * 2


def test_a_training_that_resumes_within_an_epoch_writes_when_it_is_due():
    saved = []
    callback = PeriodicCheckpoint(Path("last.ckpt"), 4)
    epoch = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=0))
    trainer = loops(fit_loop=epoch, save_checkpoint=lambda path: saved.append(trainer.global_step))
    for step in range(6, 10):
        trainer.global_step = step
        callback.on_train_batch_end(trainer, MODEL, None, None, step - 1)
    assert saved == [8]


def test_at_least_one_update():
    with value_error("checkpoint_every must be at least 1 update, got 0"):
        PeriodicCheckpoint(Path("last.ckpt"), 0)
    assert PeriodicCheckpoint(Path("last.ckpt"), 1).every_n_steps == 1


def test_the_end_of_an_epoch_ends_the_restart():
    trainer = SimpleNamespace(fit_loop=SimpleNamespace(_restarting=True))
    PeriodicCheckpoint(Path("last.ckpt"), 1).on_train_epoch_end(trainer, MODEL)
    assert trainer.fit_loop._restarting is False
