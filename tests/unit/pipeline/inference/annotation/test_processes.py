"""A function applied in several processes."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from concurrent.futures.process import BrokenProcessPool

import pytest

from pipeline.inference.annotation import processes
from pipeline.inference.annotation.processes import map_in_processes
from tests.harness import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")


def test_results_are_in_the_order_of_the_items():
    assert list(map_in_processes(lambda item: -item, iter(range(9)), 2)) == [-i for i in range(9)]


@pytest.fixture
def foreground():
    """Handles SIGINT as a process in the foreground does; jobs of the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def endless(seconds=20.0):
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())


@pytest.mark.usefixtures("foreground")
def test_an_interrupt_ends_the_processes_without_a_traceback(capfd):
    before = set(multiprocessing.active_children())
    results = map_in_processes(lambda item: item, endless(), 2)
    assert next(results) == 0
    for child in set(multiprocessing.active_children()) - before:
        with contextlib.suppress(ProcessLookupError):  # the pool ends the second one too
            os.kill(child.pid, signal.SIGINT)  # as Ctrl-C does, besides the main process
    with pytest.raises(BrokenProcessPool):
        deque(results, maxlen=0)
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("foreground")
def test_an_interrupt_of_a_process_that_is_just_starting_is_not_lost(capfd, monkeypatch):
    first, late = multiprocessing.Semaphore(1), multiprocessing.Value("i")

    def start(function, original=processes._start):
        if not first.acquire(block=False):
            with contextlib.suppress(KeyboardInterrupt):  # hooks that run after a fork lose it so
                late.value = os.getpid()
                time.sleep(0.3)
        original(function)

    monkeypatch.setattr(processes, "_start", start)
    results = map_in_processes(lambda item: item, endless(), 2)
    assert next(results) == 0
    wait_for(lambda: late.value, 20)
    os.kill(late.value, signal.SIGINT)
    with pytest.raises(BrokenProcessPool):
        deque(results, maxlen=0)
    assert capfd.readouterr().err == ""


def test_a_job_of_the_background_is_not_interrupted():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pids = map_in_processes(lambda item: os.getpid(), iter(range(9)), 2)
        os.kill(next(pids), signal.SIGINT)
        assert len(list(pids)) == 8
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_caller_is_interrupted_as_before():
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    results = map_in_processes(lambda item: item, iter(range(9)), 2)
    next(results)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert list(results) == [*range(1, 9)]
