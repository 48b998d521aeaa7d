"""Records as lines, and what is sent for each kind."""

import json
import logging
from pathlib import Path

import pytest

from pipeline.tracking.records import (
    Dataset,
    FileArtifact,
    Metric,
    Model,
    Params,
    Status,
    Tags,
    TextArtifact,
    _same,
    from_line,
    send,
    to_line,
)


@pytest.mark.parametrize(
    "record",
    [
        Metric("a", float("inf"), 5, 7),
        Params({"a": "ü\n"}),
        Tags({"a": ""}),
        TextArtifact("a\nb", "a.txt"),
        FileArtifact("unsent/x/a", None),
        Dataset("ptb", "0f", "/ptb", "train", "{}"),
        Status("FINISHED", 12),
    ],
)
def test_a_record_comes_back_from_its_line(record):
    line = to_line(record)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert from_line(line) == record


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1", "1.0", True),
        ("1e-3", "0.001", True),
        ("1", "2", False),
        ("a", "a", True),
        ("a", "b", False),
        ("'a b'", "a b", True),  # as `mlflow run -P` logs it
        ("a b", "'a b'", False),
    ],
)
def test_values_that_are_the_same(old, new, expected):
    assert _same(old, new) is expected


@pytest.mark.parametrize("count", [99, 100, 101, 201])
def test_any_number_of_tags_and_parameters(store, tmp_path, count):
    run_id = store.create_run("0").info.run_id
    values = {f"key{index}": str(index) for index in range(count)}
    send(store, run_id, [Tags(values)], tmp_path)
    send(store, run_id, [Params(values)], tmp_path)
    data = store.get_run(run_id).data
    assert data.params == values
    assert values.items() <= data.tags.items()


@pytest.mark.parametrize(
    ("status", "end"), [("SCHEDULED", None), ("FINISHED", 12), ("FAILED", 12), ("KILLED", 12)]
)
def test_a_scheduled_run_has_no_end(store, tmp_path, status, end):
    run_id = store.create_run("0").info.run_id
    send(store, run_id, [Status(status, 12)], tmp_path)
    info = store.get_run(run_id).info
    assert (info.status, info.end_time) == (status, end)


def test_metrics_are_stored_as_they_are(store, tmp_path):
    run_id = store.create_run("0").info.run_id
    records = [Metric("a", 0.5, 12, 3), Metric("a", 0.25, 13, 4), Metric("b", 2.0, 14, 5)]
    send(store, run_id, records, tmp_path)
    send(store, run_id, records[:1], tmp_path)  # a second time
    found = {
        (m.key, m.value, m.timestamp, m.step)
        for key in ("a", "b")
        for m in store.get_metric_history(run_id, key)
    }
    assert found == {("a", 0.5, 12, 3), ("a", 0.25, 13, 4), ("b", 2.0, 14, 5)}


def test_parameters_stay_and_a_tag_tells_what_differs(store, tmp_path):
    run_id = store.create_run("0").info.run_id
    send(store, run_id, [Params({"a": "1", "b": "2", "c": "x"})], tmp_path)
    send(store, run_id, [Params({"a": "1.0", "d": "4"})], tmp_path)
    data = store.get_run(run_id).data
    assert data.params == {"a": "1", "b": "2", "c": "x", "d": "4"}
    assert "parameter_drift" not in data.tags
    send(store, run_id, [Params({"b": "3", "c": "y" * 9000, "a": "1"})], tmp_path)
    data = store.get_run(run_id).data
    assert data.params == {"a": "1", "b": "2", "c": "x", "d": "4"}
    told = "b: 2 -> 3; c: x -> "
    assert data.tags["parameter_drift"] == told + "y" * (8000 - len(told))


@pytest.mark.parametrize(
    ("source", "kind", "stored"),
    [
        ("https://a.org/ptb", "http", {"url": "https://a.org/ptb"}),
        ("http://a.org/ptb", "http", {"url": "http://a.org/ptb"}),
        ("/ptb", "local", {"uri": "/ptb"}),
    ],
)
def test_a_dataset_is_an_input_of_the_run(store, tmp_path, source, kind, stored):
    run_id = store.create_run("0").info.run_id
    for _ in range(2):  # the second time changes nothing
        send(store, run_id, [Dataset("ptb", "0f", source, "valid", '{"tokens": 5}')], tmp_path)
    [found] = store.get_run(run_id).inputs.dataset_inputs
    dataset, [tag] = found.dataset, found.tags
    assert (dataset.name, dataset.digest, dataset.source_type) == ("ptb", "0f", kind)
    assert (json.loads(dataset.source), dataset.profile) == (stored, '{"tokens": 5}')
    assert (tag.key, tag.value) == ("mlflow.data.context", "valid")


def test_copies_are_removed_when_they_are_stored(store, tmp_path, caplog):
    run_id = store.create_run("0").info.run_id
    copy = tmp_path / "unsent" / "1" / "a.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text("a file")
    send(store, run_id, [TextArtifact("a text", "texts/b.txt")], tmp_path)
    record = FileArtifact("unsent/1/a.txt", "files")
    send(store, run_id, [record], tmp_path)
    assert not copy.parent.exists()
    for path, text in (("texts/b.txt", "a text"), ("files/a.txt", "a file")):
        found = store.download_artifacts(run_id, path, str(tmp_path))
        assert Path(found).read_text() == text
    assert not caplog.messages
    with caplog.at_level(logging.WARNING):
        send(store, run_id, [record], tmp_path)
    assert caplog.messages == [f"artifact {copy} is missing: already sent, or deleted by hand"]


def test_a_model_has_the_metrics_of_its_run(tmp_path, monkeypatch):
    copy, sent = tmp_path / "unsent" / "1" / "best.ckpt", []
    copy.parent.mkdir(parents=True)
    copy.write_text("weights")
    monkeypatch.setattr(
        "pipeline.tracking.models.send_model", lambda *given: sent.append([*given, copy.exists()])
    )
    metric = {"key": "test/f1", "value": 0.5, "timestamp": 12, "step": 3}
    record = Model("unsent/1/best.ckpt", {"task": "tagging"}, [metric], "tagger")
    client = object()
    send(client, "0123", [from_line(to_line(record))], tmp_path)
    [[*given, [found], register, existed]] = sent
    assert given == [client, "0123", copy, {"task": "tagging"}]
    assert (found.key, found.value, found.timestamp, found.step) == ("test/f1", 0.5, 12, 3)
    assert (register, existed) == ("tagger", True)
    assert not copy.parent.exists()


@pytest.mark.parametrize("line", ["[]", "3", '{"kind": "Code"}', '{"kind": "Tags"}', "{}"])
def test_another_line_is_no_record(line):
    with pytest.raises(ValueError, match=r"^not a record: "):
        from_line(line)
