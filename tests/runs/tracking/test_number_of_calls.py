"""Training makes no call to MLflow per step: a thread sends what was logged, every two seconds."""

import threading

import mlflow
import pytest

from tests.configs import small_config, write_config
from tests.harness import fit


@pytest.fixture
def calls(monkeypatch):
    """Names of the threads that have called `MlflowClient`, one for each call."""
    made: list[str] = []

    def counted(function):
        def call(*arguments, **more):
            made.append(threading.current_thread().name)
            return function(*arguments, **more)

        return call

    for name in ("log_batch", "log_metric", "log_param", "set_tag", "log_artifact", "log_text"):
        monkeypatch.setattr(mlflow.MlflowClient, name, counted(getattr(mlflow.MlflowClient, name)))
    return made


def test_calls_do_not_grow_with_the_number_of_steps(project, corpus, monkeypatch, calls):
    config = write_config(project, small_config(corpus))
    counts = []
    for steps in (5, 40):
        calls.clear()
        flags = [f"--trainer.max_steps={steps}", "--trainer.log_every_n_steps=1"]
        fit(project / str(steps), monkeypatch, "--config", config, *flags)
        assert threading.main_thread().name not in calls
        assert calls
        counts.append(len(calls))
    assert counts[1] - counts[0] < 15
