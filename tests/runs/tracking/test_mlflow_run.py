"""MLFLOW_RUN_ID: the run that `mlflow run` creates for a training."""

from tests.examples import refuses
from tests.unit.pipeline.tracking.test_logger import all_runs


def test_run_of_mlflow_run_is_taken_over(store, start, monkeypatch):
    made = store.create_run("0", run_name="chill-owl-867").info.run_id
    store.log_param(made, "model.lr", "1e-3")
    store.log_param(made, "data.corpus", "'my data'")  # quoted for a shell
    store.log_param(made, "model.size", "20")
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    flags = {"model.lr": "0.001", "data.corpus": "my data", "model.size": "30", "data.bptt": "35"}
    start(tags={"task": "lm"}, params=flags).finish("FINISHED")
    [run] = all_runs(store)
    assert (run.info.run_id, run.info.status) == (made, "FINISHED")
    assert run.info.run_name == "lstm-2x8-abcdef-s1"
    assert run.data.tags["task"] == "lm"
    assert run.data.params == {
        "model.lr": "1e-3",
        "data.corpus": "'my data'",
        "model.size": "20",
        "data.bptt": "35",
    }
    assert run.data.tags["parameter_drift"] == "model.size: 20 -> 30"


def test_run_id_that_a_second_training_inherits(store, start, monkeypatch):
    made = store.create_run("0", run_name="chill-owl-867").info.run_id
    store.log_metric(made, "system/cpu_utilization_percentage", 3.0)  # of a start that failed
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    first = start(run_name="first")
    first.log_metrics({"train/loss": 1.0}, 0)
    first.finish("FINISHED")
    with refuses(
        f"MLFLOW_RUN_ID is {made}, a run that was trained before; expected a run that `mlflow run` "
        "has just created; unset MLFLOW_RUN_ID to create a new run, or continue this one with "
        f"`unroll train --resume {made}`"
    ):
        start(run_name="second", params={"model.size": "30"})
    run = store.get_run(made)
    assert (run.info.run_name, run.info.status, run.data.params) == ("first", "FINISHED", {})
    start(run_id=made).finish("KILLED")  # a resume, where the variable is still set
    assert store.get_run(made).info.status == "KILLED"
