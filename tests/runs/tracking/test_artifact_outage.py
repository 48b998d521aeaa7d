"""Artifacts cannot be stored while the tracking store works."""

import threading
from pathlib import Path

import pytest

from pipeline.checkpoints.folder import RunFolder
from pipeline.run.resume import send_rest
from pipeline.tracking import outbox, writer
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import FileArtifact, TextArtifact
from tests.runs.tracking.test_outage import artifact_journal_of, journal_of, wait_until
from tests.unit.pipeline.tracking.test_logger import steps


@pytest.fixture
def blocked(store, project):
    """Puts a file where the artifact folder of the experiment must be."""
    path = project / "blocked"
    path.touch()
    store.create_experiment("lm/small", artifact_location=(path / "small").as_uri())
    return path


@pytest.mark.usefixtures("impatient")
def test_artifacts_that_cannot_be_stored_hold_up_nothing_else(
    store, start, blocked, project, warnings_of
):
    config = project / "config.yaml"
    config.write_text("a: 1")
    first = start(params={"model.lr": "1.0"})
    first.log_artifact(config)
    first.log_text("unroll train", "command.txt")
    first.log_metrics({"train/loss": 1.0}, 0)
    first.flush()
    kinds = [type(record) for record in Journal(artifact_journal_of(first)).read()]
    assert kinds == [FileArtifact, TextArtifact]
    assert steps(store, first.version, "train/loss") == [(0, 1.0)]
    first.log_dataset("ptb", "0f", "train.txt", "train")
    first.set_tags({"task": "lm"})
    first.log_text("late", "late.txt")
    first.finish("FINISHED")
    run = store.get_run(first.version)
    assert (run.info.status, run.data.params) == ("FINISHED", {"model.lr": "1.0"})
    assert (run.data.tags["task"], len(run.inputs.dataset_inputs)) == ("lm", 1)
    assert not journal_of(first).exists()
    beginning, end = warnings_of()
    assert beginning.startswith(f"artifacts of run {first.version} cannot be stored (")
    assert beginning.endswith(f"they are kept in {artifact_journal_of(first)}")
    assert end == (
        f"artifacts of run {first.version} could not be stored; they are in "
        f"{artifact_journal_of(first)} and will be sent when the run is resumed"
    )
    config.unlink()
    blocked.unlink()
    start(run_id=first.version).finish("FINISHED")
    stored = blocked / "small" / first.version / "artifacts"
    assert {path.name: path.read_text() for path in stored.iterdir()} == {
        "config.yaml": "a: 1",
        "command.txt": "unroll train",
        "late.txt": "late",
    }
    assert not list(Path(first.save_dir).iterdir())


@pytest.mark.usefixtures("impatient")
def test_the_rest_is_sent_without_a_change_of_status(store, start, blocked, capsys):
    run = start()
    run.log_text("late", "late.txt")
    run.finish("FINISHED")
    before = dict(store.get_run(run.version).info)
    send_rest(RunFolder(Path(run.save_dir)))
    assert artifact_journal_of(run).exists()
    blocked.unlink()
    for text in (f"sent what run {run.version} had left after an outage of the store\n", ""):
        send_rest(RunFolder(Path(run.save_dir)))
        assert capsys.readouterr().err == text
    assert (blocked / "small" / run.version / "artifacts" / "late.txt").read_text() == "late"
    assert dict(store.get_run(run.version).info) == before


@pytest.mark.usefixtures("impatient", "blocked")
def test_status_is_sent_though_artifacts_can_be_neither_stored_nor_journalled(store, start):
    tracker = start()
    Path(tracker.save_dir).parent.mkdir()
    Path(tracker.save_dir).touch()  # where the journal's folder must be
    tracker.log_text("unroll train", "command.txt")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        tracker.finish("FAILED")
    assert store.get_run(tracker.version).info.status == "FAILED"


@pytest.fixture
def slow_upload(store, monkeypatch):
    """Makes `log_text` wait for a condition of client and run id."""
    monkeypatch.setattr(writer, "PATIENCE", 0.05)
    real = type(store).log_text

    def make(condition):
        def log_text(self, run_id, *given):
            wait_until(lambda: condition(self, run_id))
            real(self, run_id, *given)

        monkeypatch.setattr(type(store), "log_text", log_text)

    return make


def test_status_waits_for_artifacts(store, start, slow_upload):
    finishing, statuses = threading.Event(), []

    def is_late(client, run_id):
        finishing.wait(30)
        statuses.append(client.get_run(run_id).info.status)
        return len(statuses) > 20  # long enough for a status that does not wait

    tracker = start()
    slow_upload(is_late)
    tracker.log_text("unroll train", "command.txt")
    tracker.flush()
    assert Journal(artifact_journal_of(tracker)).read() == [
        TextArtifact("unroll train", "command.txt")
    ]
    finishing.set()
    tracker.finish("FINISHED")
    assert set(statuses) == {"RUNNING"}
    assert store.get_run(tracker.version).info.status == "FINISHED"


def test_slow_artifact_neither_holds_up_the_status_nor_is_cut_off(
    store, start, slow_upload, monkeypatch, warnings_of
):
    monkeypatch.setattr(outbox, "FIRST_WAIT", 0.1)
    slow_upload(lambda client, run_id: client.get_run(run_id).info.status == "KILLED")
    tracker = start()
    tracker.log_text("unroll train", "command.txt")
    tracker.finish("KILLED")
    path = store.download_artifacts(tracker.version, "command.txt")
    assert (Path(path).read_text(), warnings_of()) == ("unroll train", [])
    assert not artifact_journal_of(tracker).exists()


def test_artifact_that_hangs_is_left_in_the_journal(
    store, start, slow_upload, monkeypatch, warnings_of
):
    for name in ("FIRST_WAIT", "LAST_WAIT"):
        monkeypatch.setattr(outbox, name, 0.1)
    given_up = threading.Event()
    slow_upload(lambda client, run_id: given_up.is_set())
    tracker = start()
    tracker.log_text("unroll train", "command.txt")
    tracker.finish("FINISHED")
    assert store.get_run(tracker.version).info.status == "FINISHED"
    assert Journal(artifact_journal_of(tracker)).read() == [
        TextArtifact("unroll train", "command.txt")
    ]
    [warning] = warnings_of()
    assert warning.startswith(f"artifacts of run {tracker.version} could not be stored; ")
    given_up.set()
    wait_until(lambda: not artifact_journal_of(tracker).exists())  # the thread has ended
