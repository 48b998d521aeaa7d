import logging

import pytest

from pipeline.tracking import writer


@pytest.fixture
def impatient(monkeypatch):
    """Reduces waiting times to milliseconds."""
    for name, seconds in {"INTERVAL": 0.02, "FIRST_DELAY": 0.02, "LAST_DELAY": 0.05}.items():
        monkeypatch.setattr(writer, name, seconds)


@pytest.fixture
def outage(store, monkeypatch):
    """Makes the store refuse writes while `is_on`, and counts the attempts."""

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
    """Returns the warnings that the user would have seen."""

    def messages():
        found = [record for record in caplog.records if record.levelno >= logging.WARNING]
        return [record.getMessage() for record in found if record.name.startswith("pipeline")]

    return messages
