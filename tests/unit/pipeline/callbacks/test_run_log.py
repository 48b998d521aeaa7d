"""The values and steps that `RunLog` and `TestReport` send to the tracker, computed by hand."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch.utils.data import DataLoader

from pipeline.callbacks import BestCheckpoint, RunLog, run_log
from pipeline.callbacks.run_log import TestReport as Report
from pipeline.tracking.logger import RunTracker
from tests.examples import quiet_trainer

LENGTH, RATE = 6, 0.5  # batches of an epoch; learning rate
SCORES = [0.5, 0.75, 0.625, 0.875]  # of the validations
TARGETS = [1.0, -2.0, 3.0, 0.0, 2.0, -1.0]


class Recorder(RunTracker):
    """Keeps what would be sent."""

    def __init__(self):
        super().__init__("lm/small", "run", Path("outputs"), None)
        self.sent, self.files, self.num_flushes = [], [], 0

    def log_scores(self, metrics, step):
        self.sent.append((step, dict(metrics)))

    def log_values(self, metrics):
        self.sent.append((0, dict(metrics)))

    def log_table(self, columns, rows, path):
        self.files.append((path, columns, rows))

    def log_artifact(self, path, artifact_folder=None):
        self.files.append((path, artifact_folder))

    def flush(self):
        self.num_flushes += 1

    def of(self, name):
        return [(step, metrics[name]) for step, metrics in self.sent if name in metrics]


class Batch(torch.Tensor):
    tokens_per_rank = 5.0


class Toy(LightningModule):
    """One weight that follows targets: the loss is (weight - target)^2 / 2."""

    def __init__(self, scores=SCORES):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.scores = iter(scores)

    def training_step(self, batch, batch_idx):
        return (self.weight - TARGETS[batch_idx]).square() / 2

    def validation_step(self, batch):
        self.log("val/f1", next(self.scores), batch_size=1)

    def test_step(self, batch):
        self.log("test/f1", 0.25, batch_size=1)
        self.log("val/f1", 0.75, batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), RATE)

    def train_dataloader(self):
        return DataLoader(torch.zeros(LENGTH, 1), batch_size=1, collate_fn=batch_of)

    def val_dataloader(self):
        return DataLoader(torch.zeros(1, 1))

    test_dataloader = val_dataloader


def batch_of(rows):
    return torch.stack(rows).as_subclass(Batch)


def by_hand(accumulate, num_epochs):
    """Returns the mean loss of the batches and the gradient norm of each update, by plain SGD."""
    weight, losses, norms = 1.0, [], []
    for _ in range(num_epochs):
        for start in range(0, LENGTH, accumulate):
            group = TARGETS[start : start + accumulate]
            losses.append(sum((weight - t) ** 2 / 2 for t in group) / len(group))
            gradient = sum(weight - t for t in group) / accumulate
            norms.append(abs(gradient))
            weight -= RATE * gradient
    return losses, norms


class Clock:
    """Each reading is two seconds after the last one."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        self.now += 2.0
        return self.now


def fit(every=1, num_epochs=2, callbacks=(), model=None, **settings):
    recorder = Recorder()
    best = BestCheckpoint(Path("best.ckpt"), "val/f1", "max")
    best.on_validation_end = lambda trainer, module: _take(best, trainer)  # writes no file
    log = RunLog("val/f1", best, every)
    trainer = quiet_trainer(
        max_epochs=num_epochs,
        logger=recorder,
        callbacks=[best, log, *callbacks],
        **{"num_sanity_val_steps": 0, **settings},
    )
    trainer.fit(model or Toy())
    return recorder, log, trainer


def _take(best, trainer):
    if not trainer.sanity_checking:
        score = float(trainer.callback_metrics["val/f1"])
        best.best = score if best.best is None else max(score, best.best)


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_losses_and_norms_by_hand(accumulate):
    recorder, _, _ = fit(accumulate_grad_batches=accumulate)
    losses, norms = by_hand(accumulate, 2)
    assert recorder.of("train/loss") == [
        (step, pytest.approx(loss)) for step, loss in enumerate(losses, start=1)
    ]
    assert recorder.of("train/grad_norm") == [
        (step, pytest.approx(norm)) for step, norm in enumerate(norms, start=1)
    ]
    assert recorder.of("learning_rate") == [(step, RATE) for step, _ in enumerate(losses, start=1)]


def test_every_fourth_update():
    recorder, _, _ = fit(every=4, num_epochs=2)
    losses, norms = by_hand(1, 2)
    assert recorder.of("train/loss") == [(s, pytest.approx(losses[s - 1])) for s in (4, 8, 12)]
    assert recorder.of("train/grad_norm") == [(s, pytest.approx(norms[s - 1])) for s in (4, 8, 12)]


def test_epochs_and_tokens_by_hand():
    """Six batches of 5 tokens in each of two epochs, and a validation after each epoch."""
    recorder, log, _ = fit(every=2)
    assert recorder.of("epoch") == [
        *[(step, pytest.approx(step / 6)) for step in (2, 4, 6)],
        (6, 1),
        *[(step, pytest.approx(step / 6)) for step in (8, 10, 12)],
        (12, 2),
    ]
    tokens = [(step, 5 * step) for step in (2, 4, 6, 6, 8, 10, 12, 12)]
    assert recorder.of("tokens_seen") == tokens
    assert log.state_dict() == {"tokens_seen": 60}


def test_a_validation_within_an_epoch_has_no_epoch_number():
    recorder, _, _ = fit(every=100, val_check_interval=3)
    assert recorder.of("val/f1") == [(3, 0.5), (6, 0.75), (9, 0.625), (12, 0.875)]
    assert recorder.of("best/val_f1") == [(0, 0.875)]
    assert recorder.of("epoch") == [(6, 1), (12, 2)]


def test_a_sanity_check_and_a_validation_alone_are_not_logged():
    recorder, _, trainer = fit(num_epochs=1, num_sanity_val_steps=1, every=100)
    assert recorder.of("val/f1") == [(6, 0.75)]  # the first score is that of the sanity check
    recorder.sent.clear()
    trainer.validate(trainer.lightning_module, verbose=False)
    assert not any(metrics for _, metrics in recorder.sent)


def test_the_scores_of_a_test():
    recorder, _, trainer = fit(num_epochs=1)
    recorder.sent.clear()
    trainer.test(trainer.lightning_module, verbose=False)
    assert [sent for sent in recorder.sent if sent[1]] == [(0, {"test/f1": 0.25})]


def test_speed_is_that_between_two_logs(monkeypatch):
    monkeypatch.setattr(run_log, "time", Clock())
    recorder, _, _ = fit(every=2, num_epochs=1)
    # The clock is read after batch 1 and at each log: 2 seconds for 5 tokens, then 10 and 10.
    rates = recorder.of("perf/tokens_per_second")
    assert rates == [(2, 2.5), (4, 5.0), (6, 5.0)]


def test_without_progress_there_is_no_speed(monkeypatch):
    """The first batch of an epoch or after a validation only starts the clock."""
    monkeypatch.setattr(run_log, "time", Clock())
    recorder, _, _ = fit(every=1, num_epochs=2, val_check_interval=3)
    steps = [step for step, _ in recorder.of("perf/tokens_per_second")]
    assert steps == [2, 3, 5, 6, 8, 9, 11, 12]


def test_values_that_a_run_has_once(monkeypatch):
    """The clock is read at the start and end of an epoch, after its first batch, at each log."""
    monkeypatch.setattr(run_log, "time", Clock())
    recorder, _, _ = fit(every=3, num_epochs=2)
    assert recorder.of("model/parameters") == [(0, 1), (0, 1)]
    assert recorder.of("model/parameters_without_embeddings")[-1] == (0, 1)
    assert recorder.of("perf/seconds_per_epoch") == [(0, 2.0 * 4)]
    [(step, memory)] = recorder.of("perf/peak_memory_mib")
    assert step == 0
    assert 50 < memory < 100_000  # MiB


class Fails(Callback):
    """Interrupts a training at the start of a batch, or a test."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            raise ValueError("interrupted")

    def on_test_start(self, trainer, pl_module):
        raise ValueError("interrupted")


@pytest.mark.parametrize(("step", "logged"), [(0, []), (8, [(0, 0.5)])])
def test_an_interrupted_training_has_its_values(monkeypatch, step, logged):
    sent = []
    monkeypatch.setattr(Recorder, "log_values", lambda self, metrics: sent.append(dict(metrics)))
    with pytest.raises(ValueError, match="interrupted"):
        fit(callbacks=[Fails(step)])
    summaries = [values for values in sent if "perf/peak_memory_mib" in values]
    assert [(0, values["best/val_f1"]) for values in summaries] == logged


def test_an_interrupted_test_logs_nothing():
    recorder, _, trainer = fit(num_epochs=1)
    recorder.sent.clear()
    trainer.callbacks.append(Fails(0))
    with pytest.raises(ValueError, match="interrupted"):
        trainer.test(trainer.lightning_module, verbose=False)
    assert recorder.sent == []


def test_a_run_begins_once():
    calls = []
    start = run_log.RunStart(lambda: calls.append(1))
    for _ in range(2):
        fit(num_epochs=1, callbacks=[start])
    start()
    assert calls == [1]


def test_memory_is_in_mib_on_each_system(monkeypatch):
    """macOS counts bytes, Linux KiB."""
    usage = SimpleNamespace(ru_maxrss=3 * 2**20)
    monkeypatch.setattr(
        run_log, "resource", SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: usage)
    )
    found = {}
    for system in ("darwin", "linux"):
        monkeypatch.setattr(run_log, "sys", SimpleNamespace(platform=system))
        found[system] = run_log._peak_memory(Toy())
    assert found == {
        "darwin": {"perf/peak_memory_mib": 3}, "linux": {"perf/peak_memory_mib": 3 * 1024},
    }  # fmt: skip
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 5 * 2**20)
    on_gpu = run_log._peak_memory(SimpleNamespace(device=torch.device("cuda", 1)))
    assert on_gpu["perf/peak_gpu_memory_mib"] == 5


def test_tokens_are_counted_on_from_a_checkpoint():
    log = RunLog("val/f1", BestCheckpoint(Path("best.ckpt"), "val/f1", "max"), 1)
    log.load_state_dict({"tokens_seen": 70})
    assert (log.tokens_seen, log.best_name) == (70, "best/val_f1")


def test_a_checkpoint_flushes(tmp_path):
    class Saves(Callback):
        def on_train_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / "last.ckpt")

    flushed = fit(num_epochs=1)[0].num_flushes
    assert fit(num_epochs=1, callbacks=[Saves()])[0].num_flushes == flushed + 1
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["callbacks"]["RunLog"] == {"tokens_seen": 30}


def test_a_task_without_a_loss_has_none():
    assert run_log.loss_of({}) is None
    loss = torch.tensor(math.pi, requires_grad=True)
    assert not run_log.loss_of({"loss": loss}).requires_grad
    assert run_log.loss_of({"loss": loss}).item() == pytest.approx(math.pi)


class Reported(Toy):
    def report(self):
        return SimpleNamespace(
            write=lambda folder: [folder / "scores.tsv", folder / "confusion.png"],
            tables=lambda: {"worst": (["text", "nll"], [["a", 1.5]])},
            examples=lambda: ["the boys"],
        )


def test_reports_are_artifacts(tmp_path):
    recorder, report = Recorder(), Report(tmp_path)
    assert report.examples == []
    trainer = quiet_trainer(logger=recorder, callbacks=[report])
    trainer.test(Reported(), verbose=False)
    names = ("scores.tsv", "confusion.png")
    table = ("tables/worst.json", ["text", "nll"], [["a", 1.5]])
    assert recorder.files == [*((tmp_path / name, "report") for name in names), table]
    assert report.examples == ["the boys"]
    recorder.files.clear()
    trainer.test(Toy(), verbose=False)
    assert recorder.files == []


def test_tokens_of_all_processes_are_counted(monkeypatch):
    monkeypatch.setattr(run_log, "is_update", lambda trainer, batch_idx: False)
    log = RunLog("val/f1", BestCheckpoint(Path("best.ckpt"), "val/f1", "max"), 1)
    for num_batches in (1, 2):
        trainer = SimpleNamespace(world_size=3)
        log.on_train_batch_end(trainer, Toy(), {}, SimpleNamespace(tokens_per_rank=2.5), 0)
        assert log.tokens_seen == 8 * num_batches  # 7.5, rounded to an even number
