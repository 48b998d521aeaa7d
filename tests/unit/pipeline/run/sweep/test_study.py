"""Trials in a database: none is lost or suggested twice when the process is killed."""

import pytest

optuna = pytest.importorskip("optuna")

from pipeline.errors import InputError  # noqa: E402
from pipeline.run.sweep.space import Choices, Range  # noqa: E402
from pipeline.run.sweep.study import Study, SweepSettings  # noqa: E402

SPACE = {"a": Choices(("x", "y", "z")), "b": Range(0, 1, 1, False)}


def study(folder, sampler="grid", space=SPACE, pruner="none", direction="min"):
    settings = SweepSettings("val/loss", direction, sampler, pruner, 1)
    return Study(f"sqlite:///{folder}/study.db", "sweep", space, settings)


def test_a_grid_has_each_combination_once_in_two_processes(tmp_path):
    found = []
    first = study(tmp_path)
    for _ in range(2):
        number, params = first.ask()
        found.append(params)
        first.end(number, 1.0)
    killed = [first.ask(), first.ask()]
    second = study(tmp_path)  # the first was killed
    assert second.unfinished() == killed
    for number, params in killed:
        found.append(params)
        second.end(number, 2.0)
    while second.num_trials < 6:
        number, params = second.ask()
        found.append(params)
        second.end(number, 3.0)
    combinations = [{"a": a, "b": b} for a in "xyz" for b in (0, 1)]
    assert sorted(found, key=str) == sorted(combinations, key=str)


def test_a_trial_that_was_killed_before_its_values_were_stored_gets_them(tmp_path):
    first = study(tmp_path, "random")
    with pytest.warns(UserWarning, match="Heartbeat"):
        first._source.ask()
    ((number, params),) = study(tmp_path, "random").unfinished()
    assert number == 0
    assert params.keys() == SPACE.keys()
    assert study(tmp_path, "random").unfinished() == [(0, params)]


def test_a_resumed_random_search_does_not_repeat_its_values(tmp_path):
    space = {"a": Range(0.0, 1.0, None, False)}
    values = []
    for _ in range(3):
        one = study(tmp_path, "random", space)
        number, params = one.ask()
        one.end(number, 0.0)
        values.append(params["a"])
    assert len({*values}) == 3


@pytest.mark.parametrize(("direction", "worse"), [("min", 9.0), ("max", -9.0)])
def test_the_median_pruner_ends_what_is_worse_than_half(tmp_path, direction, worse):
    one = study(tmp_path, "random", pruner="median", direction=direction)
    for _ in range(5):
        number, _ = one.ask()
        assert not one.report(number, {0: 1.0, 1: 1.0, 2: 1.0})
        one.end(number, 1.0)
    number, _ = one.ask()
    assert not one.report(number, {0: worse})  # the first validation is not judged
    assert one.report(number, {0: worse, 1: worse})
    one.end(number, None, is_pruned=True)
    assert [trial.state for trial in one.finished()] == ["COMPLETE"] * 5 + ["PRUNED"]


def test_importances_find_the_flag_that_decides(tmp_path):
    space = {"a": Range(0.0, 1.0, None, False), "b": Range(0.0, 1.0, None, False)}
    one = study(tmp_path, "random", space)
    for _ in range(25):
        number, params = one.ask()
        one.end(number, params["a"] + 0.01 * params["b"])
    found = one.importances()
    assert found["a"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)


def test_heartbeats_are_in_the_database(tmp_path):
    one = study(tmp_path)
    number, _ = one.ask()
    one.beat(number)
    assert one._storage._get_stale_trial_ids(one._study._study_id) == []
    with one._storage.engine.begin() as connection:
        past = "UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'"
        assert connection.exec_driver_sql(past).rowcount == 1
    assert one._storage._get_stale_trial_ids(one._study._study_id) == [1]


def test_a_database_that_fails_during_a_sweep_is_an_input_error(tmp_path):
    one = study(tmp_path, "random")
    number, _ = one.ask()
    with one._storage.engine.begin() as connection:
        for table in ("trial_values", "trial_heartbeats", "trial_intermediate_values"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    for use in (
        lambda: one.beat(number),
        lambda: one.report(number, {0: 1.0}),
        lambda: one.end(number, 1.0),
        one.ask,
    ):
        with pytest.raises(InputError, match=r"study\.db cannot be used: .*no such table: trial_"):
            use()


def test_trials_of_another_search_space_are_refused(tmp_path):
    study(tmp_path, "random").ask()
    other = study(tmp_path, "random", {"a": Range(0, 9, 1, False)})
    for use in (other.unfinished, other.ask):
        with pytest.raises(InputError, match="has trials that do not fit the sweep"):
            use()
