import logging

import pytest

from pipeline.tracking import writer
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.store import open_store


@pytest.fixture
def store(project):
    """A client of a store without runs, in the current folder."""
    return open_store()


@pytest.fixture
def start(store):
    """Starts trackers, and finishes them after the test."""
    started = []

    def start(**changes):
        given = {"experiment": "lm/small", "run_name": "lstm-2x8-abcdef-s1", **changes}
        started.append(RunTracker.start(**given))
        return started[-1]

    yield start
    for tracker in started:
        tracker.finish("FINISHED")


@pytest.fixture
def impatient(monkeypatch):
    """Waits of milliseconds."""
    for name, seconds in {"INTERVAL": 0.02, "FIRST_DELAY": 0.02, "LAST_DELAY": 0.05}.items():
        monkeypatch.setattr(writer, name, seconds)


@pytest.fixture
def outage(store, monkeypatch):
    """A store that refuses to write while it `is_on`; it counts the attempts."""

    class Outage:
        is_on = False
        attempts = 0

    for name in ("log_batch", "log_text", "log_artifact", "log_inputs", "set_terminated"):
        original = getattr(type(store), name)

        def write(self, *given, original=original, **named):
            if Outage.is_on:
                Outage.attempts += 1
                raise ConnectionError("no route to host")
            return original(self, *given, **named)

        monkeypatch.setattr(type(store), name, write)
    return Outage


@pytest.fixture
def warnings_of(caplog):
    """The messages that a person would have seen."""

    def messages():
        found = [record for record in caplog.records if record.levelno >= logging.WARNING]
        return [record.getMessage() for record in found if record.name.startswith("pipeline")]

    return messages
