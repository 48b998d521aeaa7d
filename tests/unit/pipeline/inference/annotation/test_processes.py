"""A function applied in several processes."""

import multiprocessing
import os
import signal
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from pipeline.inference.annotation.processes import map_in_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")


def test_results_are_in_the_order_of_the_items():
    assert list(map_in_processes(lambda item: -item, iter(range(9)), 2)) == [-i for i in range(9)]


def test_an_interrupt_ends_the_processes_without_a_traceback(capfd):
    before = set(multiprocessing.active_children())
    results = map_in_processes(lambda item: item, iter(range(100)), 2)
    assert next(results) == 0
    for child in set(multiprocessing.active_children()) - before:
        os.kill(child.pid, signal.SIGINT)  # as Ctrl-C does, besides the main process
        child.join()
    with pytest.raises(BrokenProcessPool):
        list(results)
    assert capfd.readouterr().err == ""
