"""Applies a function to a stream of items in several processes."""

import contextlib
import gc
import itertools
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_function: Callable[[Any], Any]  # of a child process


def num_processes() -> int:
    """Returns how many processes `map_in_processes` should use: as many as torch uses threads."""
    return torch.get_num_threads() if sys.platform == "linux" else 1


def map_in_processes(function: Callable[[T], R], items: Iterator[T], number: int) -> Iterator[R]:
    """Yields the results of a function for a stream of items, in their order.

    The processes are copies of this one, so that the function, unlike items and results, need not
    be pickled. Each computes with one thread. At most two items per process are read ahead.
    """
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(number, context, _start, (function,)) as pool:
        running: deque[Future[R]] = deque()
        try:
            for item in itertools.islice(items, 2 * number):
                running.append(_submit(pool, item))
            while running:
                yield running.popleft().result()
                for item in itertools.islice(items, 1):
                    running.append(_submit(pool, item))
        finally:
            for future in running:
                future.cancel()


def _submit(pool: ProcessPoolExecutor, item: Any) -> Future[Any]:  # noqa: ANN401
    # The first call forks. Python would print or lose a Ctrl-C that a child gets before `_start`.
    with _blocked(signal.SIGINT):
        return pool.submit(_run, item)


@contextlib.contextmanager
def _blocked(number: int) -> Iterator[None]:
    """Delays a signal until the end of the context; in a child, until it is unblocked there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function
    torch.set_num_threads(1)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a job of the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    gc.disable()  # a child lives only as long as the command


def _run(item: Any) -> Any:  # noqa: ANN401
    return _function(item)
