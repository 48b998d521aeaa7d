"""Child runs of a parent: tags, and the latest run of each number."""

import pytest

from pipeline.tracking.family import NUMBER, PARENT, Child, children, family_tags


@pytest.mark.parametrize(
    ("parent", "number", "expected"),
    [
        ("abc", "3", {"mlflow.parentRunId": "abc", "fold": "3"}),
        ("abc", None, {}),
        (None, "3", {}),
        (None, None, {}),
    ],
)
def test_tags_of_a_child(monkeypatch, parent, number, expected):
    for name, value in ((PARENT, parent), (NUMBER, number)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert family_tags() == expected


def test_the_latest_run_of_each_number_in_order(store):
    parent = store.create_run("0").info.run_id

    def child(number, start, f1):
        tags = {"mlflow.parentRunId": parent, "fold": str(number)}
        run_id = store.create_run("0", start_time=start, tags=tags).info.run_id
        for name in ("test/f1", "val/f1"):
            store.log_metric(run_id, name, f1)
        return run_id

    first = child(10, 1000, 0.1)  # before number 2
    seed = child(4294967295, 1500, 0.4)
    child(2, 2000, 0.2)
    again = child(2, 3000, 0.3)
    store.set_terminated(again, "FINISHED")
    store.create_run("0", start_time=5000, tags={"mlflow.parentRunId": "other", "fold": "1"})
    assert children(parent) == [
        Child(2, again, "FINISHED", {"test/f1": 0.3}),
        Child(10, first, "RUNNING", {"test/f1": 0.1}),
        Child(4294967295, seed, "RUNNING", {"test/f1": 0.4}),
    ]
