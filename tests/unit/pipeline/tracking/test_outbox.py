"""What is sent and kept of a run, and which recovered records are sent again when it is resumed."""

from collections import defaultdict
from types import SimpleNamespace

import pytest

from pipeline.tracking import outbox, records, writer
from pipeline.tracking.outbox import Outbox, _is_new, waiting
from pipeline.tracking.records import (
    FileArtifact,
    Metric,
    Model,
    Params,
    Status,
    Tags,
    TextArtifact,
)
from pipeline.tracking.run import OpenRun


class Store:
    """Keeps what is sent; refuses artifacts while `is_full`."""

    def __init__(self):
        self.sent, self.contents, self.is_full = [], [], False

    def send(self, client, run_id, batch, folder):
        assert (client.tracking_uri, run_id, folder.name) == ("http://u:pw@host", "0123", "0123")
        [record] = batch
        if isinstance(record, FileArtifact | Model | TextArtifact) and self.is_full:
            raise OSError("the bucket is full")
        if isinstance(record, FileArtifact | Model):
            self.contents.append((folder / record.path).read_text())
        self.sent.append(record)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0123"


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(records, "send", store.send)
    for name, seconds in (("INTERVAL", 0.01), ("FIRST_DELAY", 0.01), ("PATIENCE", 0.3)):
        monkeypatch.setattr(writer, name, seconds)
    return store


def open_outbox(folder):
    client = SimpleNamespace(tracking_uri="http://u:pw@host")
    return Outbox(OpenRun(client, "0123", "lm", 0, defaultdict(set)), folder)


def put_all(box, tmp_path):
    """Logs a file, a model and a text; the originals change afterwards."""
    for name in ("scores.tsv", "best.ckpt"):
        (tmp_path / name).write_text(f"first {name}")
    box.put_file(tmp_path / "scores.tsv", "report")
    metric = Metric("test/f1", 0.5, 12, 3)
    box.put_model(tmp_path / "best.ckpt", {"task": "tagging"}, [metric], "tagger")
    box.put(Params({"a": "1"}), TextArtifact("a text", "a.txt"))
    for name in ("scores.tsv", "best.ckpt"):
        (tmp_path / name).write_text("second")


def test_all_is_sent_before_the_status(folder, tmp_path, store, caplog):
    box = open_outbox(folder)
    assert not box.has_artifacts
    put_all(box, tmp_path)
    box.close(Status("FINISHED", 5))
    assert store.contents == ["first scores.tsv", "first best.ckpt"]
    file, model = (one for one in store.sent if isinstance(one, FileArtifact | Model))
    assert file.folder == "report"
    assert (model.description, model.register) == ({"task": "tagging"}, "tagger")
    assert model.metrics == [{"key": "test/f1", "value": 0.5, "timestamp": 12, "step": 3}]
    others = [one for one in store.sent if one not in (file, model)]
    assert Params({"a": "1"}) in others
    assert TextArtifact("a text", "a.txt") in others
    assert store.sent[-1] == Status("FINISHED", 5)
    assert [path.name for path in folder.iterdir()] == []
    assert not caplog.messages
    with pytest.raises(RuntimeError, match="finished run"):
        box.put(Tags({"a": "1"}))


def test_artifacts_that_cannot_be_stored_are_kept_and_sent_later(
    folder, tmp_path, store, caplog, monkeypatch
):
    monkeypatch.setattr(outbox, "FIRST_WAIT", 5.0)
    store.is_full = True
    box = open_outbox(folder)
    put_all(box, tmp_path)
    box.flush()
    assert box.has_artifacts
    box.close(Status("FAILED", 5))
    assert store.sent == [Params({"a": "1"}), Status("FAILED", 5)]
    kept = folder / "artifacts.jsonl"
    assert caplog.messages == [
        "artifacts of run 0123 cannot be stored (the bucket is full); training continues, and they "
        f"are kept in {kept}",
        f"artifacts of run 0123 could not be stored; they are in {kept} and will be sent when the "
        "run is resumed",
    ]
    assert [type(one) for one in waiting(folder)[0]] == [FileArtifact, Model, TextArtifact]
    assert waiting(folder)[1] == []
    (folder / "unsent" / "of a killed process").mkdir()
    store.is_full = False
    open_outbox(folder).close(None)
    assert store.contents == ["first scores.tsv", "first best.ckpt"]
    assert [type(one) for one in store.sent[2:]] == [FileArtifact, Model, TextArtifact]
    assert [path.name for path in folder.iterdir()] == []


def test_a_store_that_does_not_respond_is_named_without_its_password(
    folder, store, caplog, monkeypatch
):
    def refuse(client, run_id, batch, folder):
        raise ConnectionError("refused")

    monkeypatch.setattr(records, "send", refuse)
    box = open_outbox(folder)
    box.put(Params({"a": "1"}))
    box.close(Status("FINISHED", 5))
    kept = folder / "tracking.jsonl"
    assert caplog.messages == [
        "tracking store http://***@host does not respond (refused); training continues, and its "
        f"metrics are kept in {kept}",
        "tracking store does not respond; the last records of run 0123, with its status FINISHED, "
        f"are in {kept} and will be sent when the run is resumed",
    ]
    assert waiting(folder) == ([], [Params({"a": "1"}), Status("FINISHED", 5)])
    monkeypatch.setattr(records, "send", store.send)
    open_outbox(folder).close(None)
    assert store.sent == [Params({"a": "1"})]  # the status was that of the run before its resume


def test_recovered_records_that_the_store_has_are_dropped():
    logged = defaultdict(set, {"train/loss": {1, 2}})
    records = [
        Metric("train/loss", 1.0, 0, 2),
        Metric("train/loss", 1.0, 0, 3),
        Metric("train/loss", 1.0, 0, 3),  # written to the journal twice
        Metric("val/loss", 1.0, 0, 2),
        Params({"a": "1"}),
        Status("FAILED", 0),  # of the run before it was resumed
    ]
    assert [_is_new(record, logged) for record in records] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert logged == {"train/loss": {1, 2, 3}, "val/loss": {2}}
