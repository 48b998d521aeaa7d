"""Records as lines, and what is sent for each kind."""

import pytest

from pipeline.tracking.records import (
    Dataset,
    FileArtifact,
    Metric,
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
