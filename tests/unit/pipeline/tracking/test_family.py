"""Child runs of a parent: tags, and the latest run of each fold."""

import pytest

from pipeline.tracking.family import FOLD, PARENT, Child, children, family_tags


@pytest.mark.parametrize(
    ("parent", "fold", "expected"),
    [
        ("abc", "3", {"mlflow.parentRunId": "abc", "fold": "3"}),
        ("abc", None, {}),
        (None, "3", {}),
        (None, None, {}),
    ],
)
def test_tags_of_a_child(monkeypatch, parent, fold, expected):
    for name, value in ((PARENT, parent), (FOLD, fold)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert family_tags() == expected


def test_the_latest_run_of_each_fold_in_order(store):
    parent = store.create_run("0").info.run_id

    def child(fold, start, f1):
        tags = {"mlflow.parentRunId": parent, "fold": str(fold)}
        run_id = store.create_run("0", start_time=start, tags=tags).info.run_id
        for name in ("test/f1", "val/f1"):
            store.log_metric(run_id, name, f1)
        return run_id

    first = child(10, 1000, 0.1)  # before fold 2
    child(2, 2000, 0.2)
    again = child(2, 3000, 0.3)
    store.set_terminated(again, "FINISHED")
    store.create_run("0", start_time=5000, tags={"mlflow.parentRunId": "other", "fold": "1"})
    assert children(parent) == [
        Child(2, again, "FINISHED", {"test/f1": 0.3}),
        Child(10, first, "RUNNING", {"test/f1": 0.1}),
    ]
