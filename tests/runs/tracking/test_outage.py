"""A tracking store that is unavailable or slow: flushed values are never lost."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.tracking import outbox, writer
from pipeline.tracking.journal import Journal
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.records import Metric, Params, Status, TextArtifact, from_line, to_line
from tests.examples import refuses
from tests.unit.pipeline.tracking.test_logger import steps

REPOSITORY = Path(__file__).parents[3]


def journal_of(tracker):
    return Path(tracker.save_dir) / "tracking.jsonl"


def artifact_journal_of(tracker):
    return Path(tracker.save_dir) / "artifacts.jsonl"


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.mark.usefixtures("impatient")
def test_training_goes_on_without_the_store_and_all_is_sent_later(
    store, start, outage, project, warnings_of
):
    tracker = start()
    tracker.log_metrics({"train/loss": 0.0}, 0)
    tracker.flush()
    outage.is_on = True
    (project / "picture.png").write_text("pixels")
    for step in range(1, 6):
        tracker.log_metrics({"train/loss": float(step), "epoch": 0}, step)
        tracker.log_text(f"of step {step}", f"notes/{step}.txt")
    tracker.log_artifact(project / "picture.png", "pictures")
    (project / "picture.png").unlink()
    tracker.log_params({"model.lr": "1.0"})
    tracker.log_dataset("ptb", "0f", "train.txt", "train")
    wait_until(journal_of(tracker).exists)  # at the first failure, without a flush
    tracker.flush()
    wait_until(lambda: outage.attempts > 3)
    lines = [json.loads(line) for line in journal_of(tracker).read_text().splitlines()]
    kept = [(line["key"], line["step"]) for line in lines if line["kind"] == "Metric"]
    assert kept == [(key, step) for step in range(1, 6) for key in ("train/loss", "epoch")]
    outage.is_on = False
    tracker.log_metrics({"train/loss": 6.0}, 6)
    wait_until(lambda: not journal_of(tracker).exists())
    wait_until(lambda: not artifact_journal_of(tracker).exists())
    tracker.finish("FINISHED")
    run = store.get_run(tracker.version)
    assert steps(store, tracker.version, "train/loss") == [(s, float(s)) for s in range(7)]
    assert len(steps(store, tracker.version, "epoch")) == 5
    assert (run.info.status, run.data.params) == ("FINISHED", {"model.lr": "1.0"})
    assert [d.dataset.digest for d in run.inputs.dataset_inputs] == ["0f"]
    artifacts = Path(store.download_artifacts(tracker.version, ""))
    assert (artifacts / "pictures" / "picture.png").read_text() == "pixels"
    assert (artifacts / "notes" / "5.txt").read_text() == "of step 5"
    assert set(warnings_of()) == {
        f"tracking store sqlite:///{project}/mlflow.db does not respond (no route to host); "
        f"training continues, and its metrics are kept in {journal_of(tracker)}",
        f"artifacts of run {tracker.version} cannot be stored (no route to host); training "
        f"continues, and they are kept in {artifact_journal_of(tracker)}",
    }


@pytest.mark.usefixtures("impatient")
def test_run_that_ends_during_an_outage_is_completed_by_a_resume(
    store, start, outage, project, warnings_of
):
    first = start()
    first.flush()
    (project / "best.ckpt").write_text("weights")
    outage.is_on = True
    for step in range(3):
        first.log_metrics({"train/loss": float(step)}, step)
    first.log_artifact(project / "best.ckpt")
    first.finish("KILLED")
    assert warnings_of()[2:] == [
        f"tracking store does not respond; the last records of run {first.version}, with its "
        f"status KILLED, are in {journal_of(first)} and will be sent when the run is resumed",
        f"artifacts of run {first.version} could not be stored; they are in "
        f"{artifact_journal_of(first)} and will be sent when the run is resumed",
    ]
    last = from_line(journal_of(first).read_text().splitlines()[-1])
    assert isinstance(last, Status)
    assert last.status == "KILLED"
    outage.is_on = False
    second = start(run_id=first.version)
    second.log_metrics({"train/loss": 99.0}, 2)
    second.flush()
    assert store.get_run(first.version).info.status == "RUNNING"
    assert not journal_of(first).exists()
    assert steps(store, first.version, "train/loss") == [(s, float(s)) for s in range(3)]
    assert Path(store.download_artifacts(first.version, "best.ckpt")).read_text() == "weights"


def test_journal_that_was_sent_but_not_removed_changes_nothing(store, start):
    first = start(params={"model.lr": "1.0"})
    first.log_metrics({"train/loss": 1.0}, 0)
    first.finish("FAILED")
    [sent] = store.get_metric_history(first.version, "train/loss")
    Journal(journal_of(first)).append(
        [
            Metric("train/loss", 1.0, sent.timestamp, 0),
            Metric("train/loss", 1.0, sent.timestamp + 1, 0),
            Metric("train/loss", 2.0, sent.timestamp + 2, 1),
            Metric("train/loss", 2.0, sent.timestamp + 3, 1),
            Params({"model.lr": "1.0"}),
            Status("FAILED", sent.timestamp),
        ]
    )
    start(run_id=first.version).finish("FINISHED")
    assert steps(store, first.version, "train/loss") == [(0, 1.0), (1, 2.0)]
    run = store.get_run(first.version)
    assert run.info.status == "FINISHED"
    assert "parameter_drift" not in run.data.tags


def test_answer_that_is_lost_after_the_store_wrote(store, start, impatient, monkeypatch):
    real, lost = type(store).log_batch, []

    def log_batch(self, *given, **named):
        real(self, *given, **named)
        if len(lost) < 3:
            lost.append(given)
            raise ConnectionResetError("connection reset by peer")

    tracker = start()
    monkeypatch.setattr(type(store), "log_batch", log_batch)
    for step in range(10):
        tracker.log_metrics({"train/loss": float(step), "val/loss": float("nan")}, step)
    tracker.finish("FINISHED")
    assert len(lost) == 3
    assert steps(store, tracker.version, "train/loss") == [(s, float(s)) for s in range(10)]
    assert len(steps(store, tracker.version, "val/loss")) == 10


def test_slow_store_holds_up_neither_logging_nor_flushing(store, start, monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE", 0.2)
    real, answered = type(store).log_batch, []

    def log_batch(self, *given, **named):
        deadline = time.monotonic() + 20
        while not answered and time.monotonic() < deadline:
            time.sleep(0.01)
        return real(self, *given, **named)

    tracker = start()
    tracker.flush()
    monkeypatch.setattr(type(store), "log_batch", log_batch)
    for step in range(2000):
        tracker.log_metrics({"train/loss": float(step)}, step)
    tracker.flush()
    assert len(journal_of(tracker).read_text().splitlines()) == 2000
    answered.append(True)
    tracker.log_metrics({"train/loss": 2000.0}, 2000)
    wait_until(lambda: not journal_of(tracker).exists())
    tracker.finish("FINISHED")
    assert steps(store, tracker.version, "train/loss") == [(s, float(s)) for s in range(2001)]


KILLED_AFTER_FLUSH = """
import os, signal, sys, time
from mlflow import MlflowClient
from pipeline.tracking import writer
from pipeline.tracking.logger import RunTracker

def hang(*given, **named):
    time.sleep(60)

def fail(*given, **named):
    raise ConnectionError("no route to host")

def train(run_id, log_batch):
    tracker = RunTracker.start("lm/small", "name", run_id=run_id)
    tracker.flush()
    MlflowClient.log_batch = log_batch
    writer.PATIENCE = 0.2 if log_batch is hang else 60
    for step in range(700):
        tracker.log_metrics({"train/loss": float(step), "epoch": 0}, step)
    tracker.flush()
    os.kill(os.getpid(), signal.SIGKILL)

for run_id, log_batch in zip(sys.argv[1:], (MlflowClient.log_batch, hang, fail)):
    child = os.fork()
    if not child:
        train(run_id, log_batch)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_kill_after_a_flush_loses_nothing(store, start):
    runs = [store.create_run("0").info.run_id for _ in range(3)]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER_FLUSH, *runs],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    for run_id, is_journalled in zip(runs, (False, True, True), strict=True):
        assert (Path("outputs") / run_id / "tracking.jsonl").exists() == is_journalled
        start(run_id=run_id).finish("FINISHED")
        assert steps(store, run_id, "train/loss") == [(s, float(s)) for s in range(700)]
        assert steps(store, run_id, "epoch") == [(s, 0.0) for s in range(700)]


def test_journal_keeps_records_exactly(tmp_path):
    journal = Journal(tmp_path / "new" / "tracking.jsonl")
    records = [
        Metric("a", float("inf"), 5, 0),
        Metric("a", 0.1 + 0.2, 5, 1),
        Params({"x": "line\nbreak \u2028 ü"}),
        TextArtifact("\r\n\x0b\x1c\x85", "a/b"),
    ]
    journal.append(records[:1])
    journal.append(records[1:])
    assert journal.read() == records
    [nan] = [from_line(to_line(Metric("a", float("nan"), 5, 0)))]
    assert nan.value != nan.value
    journal.remove()
    assert journal.read() == []


def test_journal_with_a_torn_end_goes_on_after_its_last_whole_line(tmp_path):
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append([Metric("a", 1.0, 5, 0), Metric("a", 2.0, 5, 1)])
    with journal.path.open("rb+") as file:
        file.truncate(journal.path.stat().st_size - 7)
    assert journal.read() == [Metric("a", 1.0, 5, 0)]
    journal.append([Metric("a", 3.0, 5, 2)])
    assert journal.read() == [Metric("a", 1.0, 5, 0), Metric("a", 3.0, 5, 2)]


def test_damaged_journal(store, start):
    tracker = start()
    tracker.finish("FINISHED")
    journal_of(tracker).parent.mkdir(parents=True, exist_ok=True)
    for damage in ("not json", "[]", '{"kind": "nothing"}', '{"kind": "Metric", "value": 1}'):
        journal_of(tracker).write_text(to_line(Params({"a": "1"})) + damage + "\n")
        named = journal_of(tracker).relative_to(Path.cwd())  # `start` gives a relative folder
        with refuses(
            f"{named}, line 2: damaged record, expected one JSON object written by this program; "
            "delete the line and try again"
        ):
            start(run_id=tracker.version)


def test_journal_that_cannot_be_written_stops_at_the_flush(store, start, outage, impatient):
    tracker = start()
    tracker.flush()
    outage.is_on = True
    Path(tracker.save_dir).parent.mkdir()
    Path(tracker.save_dir).touch()  # where the journal's folder must be
    tracker.log_metrics({"train/loss": 1.0}, 0)
    wait_until(lambda: outage.attempts > 1)
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        tracker.flush()
    outage.is_on = False
    tracker.finish("FINISHED")
    assert steps(store, tracker.version, "train/loss") == [(0, 1.0)]


def test_store_that_never_answers_again_holds_up_the_end_for_a_limited_time(
    store, start, impatient, monkeypatch, warnings_of
):
    monkeypatch.setattr(outbox, "STORE_WAIT", 0.2)
    monkeypatch.setattr(writer, "PATIENCE", 0.1)
    tracker = start()
    tracker.flush()
    answered = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "log_batch", lambda *_, **__: answered.wait(30))
        tracker.log_metrics({"train/loss": 1.0}, 0)
        begin = time.monotonic()
        tracker.finish("FINISHED")
        assert time.monotonic() - begin < 10
    (warning,) = [text for text in warnings_of() if "does not respond" in text]
    assert "its status FINISHED" in warning
    kept = Journal(journal_of(tracker)).read()
    assert [type(record) for record in kept] == [Metric, Status]
    answered.set()


def test_store_that_is_away_from_the_start(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError) as caught:
        RunTracker.start("lm/small", "name")
    assert str(caught.value).startswith("cannot use tracking store http://***@127.0.0.1:9: ")
    assert "secret" not in str(caught.value)
