"""What the description of a sweep says, also of plans and stores that someone has changed."""

import pytest

pytest.importorskip("optuna")

from pipeline.run.sweep.study import Finished
from pipeline.run.sweep.summary import _candidates, _row, _searched
from pipeline.tracking.family import Child


def test_a_trial_whose_run_was_deleted_is_not_the_best():
    trials = [Finished(number, "COMPLETE", number / 10, {}) for number in range(3)]
    found = {number: Child(number, f"run{number}", "FINISHED", {}) for number in (1, 2)}
    rows = [_row(trial, found) for trial in [*trials, Finished(3, "FAIL", None, {})]]
    assert [row.run for row in rows] == ["", "run1", "run2", ""]
    assert _candidates(rows) == {1: 0.1, 2: 0.2}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([6, "a"], '[6, "a"]'),
        ({"low": 1, "high": 2}, "1 to 2"),
        ({"low": 1, "high": 2, "log": True}, "1 to 2 (logarithmic)"),
        ({"low": 1, "high": 3, "step": 2, "log": False}, "1 to 3 in steps of 2"),
    ],
)
def test_values_in_words(values, expected):
    assert _searched(values) == expected
