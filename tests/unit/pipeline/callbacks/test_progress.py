"""The progress bar and the lines of `EpochLines`."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule

from pipeline.callbacks import Bar, EpochLines, progress
from tests.examples import quiet_trainer


def test_a_score_is_read_once(monkeypatch):
    bar, trainer, model = Bar("val/perplexity"), quiet_trainer(), LightningModule()
    assert bar.get_metrics(trainer, model) == {}
    reads = []
    read = torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: reads.append(1) or read(self))
    for number, score in enumerate((12.34567, 9.5), start=1):
        trainer.callback_metrics["val/perplexity"] = torch.tensor(score)
        for _ in range(3):
            assert bar.get_metrics(trainer, model) == {"val/perplexity": f"{score:.5g}"}
        assert len(reads) == number


def test_the_bar_is_on_standard_error(capsys):
    """Standard output is for scores and texts, which may be piped."""
    bar, trainer = Bar("val/perplexity"), quiet_trainer()
    bar.enable()
    bar._init_progress(trainer)
    bar._console.print("a bar")
    bar._stop_progress()
    out, err = capsys.readouterr()
    assert "a bar" not in out
    assert "a bar" in err


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set, and a standard error that is no terminal."""
    clock = SimpleNamespace(now=1000.0, is_terminal=False)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    stderr = SimpleNamespace(isatty=lambda: clock.is_terminal)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stderr))
    clock.lines = []
    monkeypatch.setattr(progress, "print_note", clock.lines.append)
    return clock


def training(**changes):
    state = {
        "accumulate_grad_batches": 4,
        "num_training_batches": 20,
        "current_epoch": 2,
        "max_epochs": 9,
        "sanity_checking": False,
        "state": SimpleNamespace(fn="fit"),
        "callback_metrics": {"val/f1": torch.tensor(0.123456789)},
    }
    return SimpleNamespace(**{**state, **changes})


def test_a_line_after_a_silent_minute(clock):
    lines, model, loss = EpochLines("val/f1"), LightningModule(), {"loss": torch.tensor(0.25)}
    lines.on_train_start(training(), model)
    for seconds in (60.0, 60.5, 100.0, 120.5, 121.0):
        clock.now = 1000.0 + seconds
        lines.on_train_batch_end(training(), model, loss, None, int(seconds) % 20)
    # The loss of a batch is divided by the number of accumulated batches.
    assert clock.lines == ["epoch 3/9  step 1/20  loss 1.0000", "epoch 3/9  step 2/20  loss 1.0000"]
    clock.now, clock.is_terminal = 2000.0, True
    lines.on_train_batch_end(training(), model, loss, None, 0)
    clock.is_terminal = False
    lines.on_train_epoch_start(training(), model)
    lines.on_train_batch_end(training(), model, loss, None, 0)
    assert len(clock.lines) == 2
    clock.now = 2061.0
    lines.on_train_batch_end(training(max_epochs=-1), model, {}, None, 6)
    assert clock.lines[2:] == ["epoch 3/?  step 7/20"]


def test_a_line_after_each_validation(clock):
    lines, model = EpochLines("val/f1"), LightningModule()
    lines.on_train_epoch_start(training(), model)
    clock.now += 12.4
    for ignored in (
        training(sanity_checking=True),
        training(state=SimpleNamespace(fn="validate")),
        training(state=SimpleNamespace(fn="test")),
    ):
        lines.on_validation_end(ignored, model)
    assert clock.lines == []
    lines.on_validation_end(training(), model)
    lines.on_validation_end(training(callback_metrics={}, max_epochs=None), model)
    lines.on_validation_end(training(current_epoch=0, max_epochs=1), model)
    assert clock.lines == [
        "epoch 3/9  val/f1 0.12346  12 s", "epoch 3/?  val/f1 nan  12 s",
        "epoch 1/1  val/f1 0.12346  12 s",
    ]  # fmt: skip
