"""Which processes end this one, and which ones are ended with it."""

import signal
import threading
from types import SimpleNamespace

import pytest

from pipeline.callbacks import process_watcher
from pipeline.callbacks.process_watcher import ProcessWatcher
from tests.harness import wait_for


class Process:
    def __init__(self, code=None):
        self.code, self.signals = code, []

    def poll(self):
        return self.code

    def send_signal(self, number):
        self.signals.append(number)


@pytest.fixture
def watch(monkeypatch):
    """Watches processes and returns the watcher and the list of calls of `on_death`."""
    monkeypatch.setattr(process_watcher, "_INTERVAL", 0.005)
    monkeypatch.setattr(process_watcher, "_GRACE", 0.02)
    watchers = []

    def watch(*processes):
        deaths, launcher = [], SimpleNamespace(procs=list(processes))
        watchers.append(ProcessWatcher(lambda: deaths.append(1)))
        watchers[-1].watch(SimpleNamespace(strategy=SimpleNamespace(launcher=launcher)))
        wait_for(lambda: not launcher.procs)
        return watchers[-1], deaths

    yield watch
    for watcher in watchers:
        watcher.end()


def test_one_failed_process_of_two_is_enough(watch):
    one, other = Process(), Process()
    _, deaths = watch(one, other)
    one.code = 1
    wait_for(lambda: deaths == [1])


def test_a_process_that_ended_well_is_no_failure(watch):
    one, other = Process(code=0), Process()
    watcher, deaths = watch(one, other)
    watcher._is_over.wait(0.1)
    assert deaths == []
    watcher.end()
    assert (one.signals, other.signals) == ([], [signal.SIGTERM])


def test_who_notices_by_itself_is_left_alone(watch, monkeypatch):
    monkeypatch.setattr(process_watcher, "_GRACE", 60.0)
    threads = set(threading.enumerate())
    one = Process(code=1)
    watcher, deaths = watch(one)
    watcher.end()
    wait_for(lambda: set(threading.enumerate()) <= threads)
    assert (deaths, one.signals) == ([], [])


def test_a_launcher_without_processes_is_not_watched():
    launcher = SimpleNamespace()
    ProcessWatcher(list).watch(SimpleNamespace(strategy=SimpleNamespace(launcher=launcher)))
