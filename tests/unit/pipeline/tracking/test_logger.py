import json
import math
import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_only

from pipeline.errors import InputError
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.system import system_metrics
from tests.examples import quiet_trainer, refuses
from tests.harness import wait_for


def steps(client, run_id, key):
    """Returns the stored pairs (step, value), ordered by step."""
    return sorted((m.step, m.value) for m in client.get_metric_history(run_id, key))


def all_runs(client):
    return client.search_runs([e.experiment_id for e in client.search_experiments()])


def test_metrics_arrive_once_per_name_and_step(store, start):
    tracker = start()
    for step, loss in enumerate([3.0, 2.0, 1.0]):
        tracker.log_metrics({"train/loss": loss, "epoch": 0}, step)
        tracker.log_metrics({"train/grad_norm": 10 * loss, "epoch": 0}, step)
        tracker.log_metrics({"train/loss": 99.0}, step)
    tracker.flush()
    run_id = tracker.version
    assert steps(store, run_id, "train/loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert steps(store, run_id, "train/grad_norm") == [(0, 30.0), (1, 20.0), (2, 10.0)]
    assert steps(store, run_id, "epoch") == [(0, 0.0), (1, 0.0), (2, 0.0)]


def test_more_metrics_than_a_request_may_hold(store, start):
    tracker = start()
    for step in range(2500):
        tracker.log_metrics({"train/loss": float(step)}, step)
    expected = [(step, float(step)) for step in range(2500)]
    # `flush` would wait for the store for a second only, and then use the journal.
    wait_for(lambda: len(steps(store, tracker.version, "train/loss")) == 2500)
    assert steps(store, tracker.version, "train/loss") == expected


def test_values_that_are_not_finite(store, start):
    tracker = start()
    tracker.log_metrics({"train/loss": torch.tensor(math.inf), "val/loss": math.nan}, 0)
    tracker.flush()
    assert steps(store, tracker.version, "train/loss") == [(0, pytest.approx(1.797e308, rel=1e-3))]
    [(_, value)] = steps(store, tracker.version, "val/loss")
    assert math.isnan(value)


@pytest.mark.parametrize("name", ["a,b", "a//b", "../a", "x" * 251, ""])
def test_name_that_the_store_would_refuse_for_ever(start, name):
    tracker = start()
    for log in (
        lambda: tracker.log_metrics({name: 1.0}, 0),
        lambda: tracker.log_params({name: "1"}),
        lambda: tracker.log_text("text", name),
    ):
        with pytest.raises(ValueError, match=r"^invalid MLflow name .*: expected a relative path"):
            log()


def test_metrics_need_a_step(start):
    with pytest.raises(ValueError, match=r"^metrics \['a'\] have no step; pass step="):
        start().log_metrics({"a": 1.0})


def test_resume_goes_on_with_the_run_and_drops_what_it_has(store, start):
    first = start()
    for step in range(5):
        first.log_metrics({"train/loss": float(step), "epoch": 0}, step)
    first.finish("KILLED")
    assert store.get_run(first.version).info.status == "KILLED"
    second = start(run_id=first.version, run_name="another", experiment="another")
    assert (second.waits, store.get_run(first.version).info.status) == (True, "KILLED")
    second.resume()
    second.flush()
    assert (second.waits, store.get_run(first.version).info.status) == (False, "RUNNING")
    for step in range(3, 8):  # 3 and 4 are trained again
        second.log_metrics({"train/loss": float(step), "epoch": 1}, step)
    second.finish("FINISHED")
    assert steps(store, first.version, "train/loss") == [(step, float(step)) for step in range(8)]
    assert [value for _, value in steps(store, first.version, "epoch")] == [0.0] * 5 + [1.0] * 3
    [run] = all_runs(store)
    assert (run.info.run_id, run.info.status) == (second.version, "FINISHED")
    assert (second.name, run.info.run_name) == ("lm/small", "lstm-2x8-abcdef-s1")


def test_parameters_are_cut_kept_and_told_when_they_drift(store, start):
    flags = {f"trainer.flag_{index}": str(index) for index in range(250)}
    first = start(params={**flags, "data.long": "x" * 7000})
    first.finish("KILLED")
    run = store.get_run(first.version)
    assert run.data.params == {**flags, "data.long": "x" * 6000}
    assert "parameter_drift" not in run.data.tags
    changes = {"trainer.flag_3": "4", "trainer.flag_249": "null", "data.new": ""}
    start(run_id=first.version, params={**flags, "data.long": "x" * 7000} | changes).finish(
        "FAILED"
    )
    run = store.get_run(first.version)
    assert run.data.params == {**flags, "data.long": "x" * 6000, "data.new": ""}
    assert run.data.tags["parameter_drift"] == (
        "trainer.flag_3: 3 -> 4; trainer.flag_249: 249 -> null"
    )


def test_artifacts_are_taken_as_they_are_at_the_call(store, start, project):
    tracker = start()
    path = project / "best.ckpt"
    for content, folder in (("first", "checkpoints"), ("second", None)):
        path.write_text(content)
        tracker.log_artifact(path, folder)
    path.unlink()
    tracker.flush()
    assert not list((project / "outputs" / tracker.version / "unsent").iterdir())
    tracker.log_text("a: 1\n", "config/train.yaml")
    tracker.finish("FINISHED")
    artifacts = Path(store.download_artifacts(tracker.version, ""))
    files = {str(p.relative_to(artifacts)): p for p in artifacts.rglob("*") if p.is_file()}
    assert {name: p.read_text() for name, p in files.items()} == {
        "checkpoints/best.ckpt": "first",
        "best.ckpt": "second",
        "config/train.yaml": "a: 1\n",
    }
    assert not list((project / "outputs" / tracker.version).iterdir())


def test_datasets_are_inputs_of_the_run_once(store, start):
    first = start()
    for run_id in (first.version, first.version):
        tracker = first if run_id is None else start(run_id=run_id)
        tracker.log_dataset("ptb", "0f" * 32, "/corpora/ptb/train.txt", "train", {"tokens": 3})
        tracker.log_dataset("ptb", "1f" * 32, "https://example.org/test", "test")
        tracker.finish("FINISHED")
    found = store.get_run(first.version).inputs.dataset_inputs
    described = {
        (d.dataset.name, d.dataset.digest, d.dataset.source_type, d.dataset.source, d.tags[0].value)
        for d in found
    }
    assert len(found) == 2
    assert described == {
        ("ptb", "0f" * 4, "local", '{"uri": "/corpora/ptb/train.txt"}', "train"),
        ("ptb", "1f" * 4, "http", '{"url": "https://example.org/test"}', "test"),
    }
    profiles = [{"sha256": "0f" * 32, "tokens": 3}, {"sha256": "1f" * 32}]
    assert [json.loads(profile) for profile in sorted(d.dataset.profile for d in found)] == profiles


@pytest.mark.parametrize(
    ("status", "has_ended"), [("FINISHED", 1), ("FAILED", 1), ("KILLED", 1), ("SCHEDULED", 0)]
)
def test_status_is_set_once(store, start, status, has_ended):
    tracker = start()
    assert store.get_run(tracker.version).info.status == "RUNNING"
    tracker.finalize("success")
    assert store.get_run(tracker.version).info.status == "RUNNING"
    tracker.finish(status)
    tracker.finish("FAILED")
    tracker.finalize("failed")
    info = store.get_run(tracker.version).info
    assert (info.status, bool(info.end_time)) == (status, bool(has_ended))
    with pytest.raises(RuntimeError, match=r"^cannot log to a finished run$"):
        tracker.log_metrics({"a": 1.0}, 0)


class Line(LightningModule):
    """Fits y = w x, logging at training steps and at the ends of epochs."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def _loss(self, stage, batch):
        loss = self.layer(batch).pow(2).mean()
        self.log(f"{stage}/loss", loss)
        return loss

    def training_step(self, batch):
        return self._loss("train", batch)

    def validation_step(self, batch):
        self._loss("val", batch)

    def test_step(self, batch):
        self._loss("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_fit_and_test_of_a_trainer_are_one_running_run(store, start, project):
    tracker = start()
    settings = {"max_epochs": 2, "log_every_n_steps": 1, "num_sanity_val_steps": 0}
    trainer = quiet_trainer(logger=tracker, **settings)
    batches = torch.utils.data.DataLoader([torch.ones(1)] * 3)
    trainer.fit(Line(), batches, batches)
    trainer.test(Line(), batches, verbose=False)
    assert trainer.log_dir == str(project / "outputs" / tracker.version)
    assert store.get_run(tracker.version).info.status == "RUNNING"
    assert [step for step, _ in steps(store, tracker.version, "train/loss")] == list(range(6))
    assert [step for step, _ in steps(store, tracker.version, "val/loss")] == [2, 5]
    assert [step for step, _ in steps(store, tracker.version, "test/loss")] == [6]
    epochs = [0, 0, 0, 1, 1, 1, 2]
    assert steps(store, tracker.version, "epoch") == list(enumerate(map(float, epochs)))


def test_scores_are_left_to_their_callback(store, start):
    tracker = start()
    tracker.own_scores()
    tracker.log_metrics({"val/loss": 1.0, "test/loss": 1.0, "epoch": 0, "train/loss": 1.0}, 0)
    tracker.log_scores({"val/loss": 2.0, "epoch": 0.5}, 1)
    tracker.flush()
    assert store.get_run(tracker.version).data.metrics == {
        "train/loss": 1.0,
        "val/loss": 2.0,
        "epoch": 0.5,
    }


def test_other_ranks_do_nothing(project, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    tracker = RunTracker.start("lm/small", "name", params={"a": "1"}, tags={"b": "2"})
    tracker.log_metrics({"train/loss": 1.0}, 0)
    tracker.log_artifact(project / "no-such-file")
    with system_metrics(tracker, interval=0.01):
        tracker.flush()
    tracker.finish("FINISHED")
    assert (tracker.version, tracker.save_dir, tracker.is_active) == (None, None, False)
    assert RunTracker.start("lm/small", "name", run_id="abc").version == "abc"
    assert not os.listdir(project)


def test_run_that_does_not_exist_or_was_deleted(store, start, project):
    for run_id in ("f" * 32, "what?"):
        with refuses(
            f"no run {run_id} in the tracking store sqlite:///{project}/mlflow.db; "
            "`unroll runs` lists all runs"
        ):
            RunTracker.start("lm/small", "name", run_id=run_id)
    tracker = start()
    tracker.finish("FINISHED")
    store.delete_run(tracker.version)
    with pytest.raises(InputError, match=r" was deleted; restore it with `mlflow runs restore "):
        start(run_id=tracker.version)


def test_system_metrics_never_repeat_a_step(store, start):
    first = start()
    for tracker in (first, first):
        tracker = start(run_id=first.version)
        tracker.resume()
        with system_metrics(tracker, interval=0.2):
            while not (
                tracker.flush() or "system/cpu_utilization_percentage" in _last(store, first)
            ):
                pass
        tracker.finish("FINISHED")
    histories = [
        [metric.step for metric in store.get_metric_history(first.version, key)]
        for key in _last(store, first)
    ]
    assert histories
    assert all(len(history) == len(set(history)) for history in histories)


def _last(client, tracker):
    return client.get_run(tracker.version).data.metrics
