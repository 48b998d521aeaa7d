"""Ends a test that pytest-timeout cannot interrupt, since it never returns to Python.

pytest-timeout raises an exception in the test at its limit, which ends waits for locks, threads,
sockets and processes; the test fails, and the next one runs. A test that hangs in C code is ended
with its process here, half as long again after its start: pytest-xdist reports it as failed and
starts another process for the rest. In both cases the stacks of all threads are printed.
"""

import faulthandler
import os

import pytest

SLOW_LIMIT = 3600  # seconds for a test that is marked slow

_stderr = pytest.StashKey[int]()


def pytest_configure(config):
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_stderr] = os.dup(2)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_LIMIT))


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item, settings):
    stderr = item.config.stash[_stderr]
    faulthandler.dump_traceback_later(1.5 * settings.timeout, exit=True, file=stderr)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_cancel_timer(item):
    faulthandler.cancel_dump_traceback_later()
