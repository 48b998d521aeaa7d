"""Runs commands in parallel, each with its own log file."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.errors import InputError
from pipeline.process import SUPERVISOR

_PATIENCE = 20.0  # seconds between SIGTERM and SIGKILL
_POLL = 0.2
_ORPHANS = 60.0  # seconds to wait for a job of a process that was killed


class Job(NamedTuple):
    """A command with a number, environment variables to add, and a log file to append to."""

    number: int
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path


class Outcome(NamedTuple):
    """Result of a job: exit code (negative for a signal) and duration in seconds."""

    job: Job
    code: int
    seconds: float


class _Running(NamedTuple):
    job: Job
    process: subprocess.Popen[bytes]
    started: float
    slot: int


def _go_on(job: Job) -> bool:
    return False


def run_jobs(
    jobs: Iterable[Job],
    at_once: int,
    threads: int,
    should_end: Callable[[Job], bool] = _go_on,
) -> Iterator[Outcome]:
    """Runs at most `at_once` jobs at the same time, and yields the result of each when it ends.

    A job is taken from `jobs` only when it can start. An iterator that is exhausted is asked again
    after each job, so it may add jobs, such as one to repeat. A job for which `should_end` returns
    true gets SIGTERM; the function is called for each running job several times a second.

    Each job has its own process group, so that Ctrl-C reaches it only through this process. When
    the iteration ends for any reason, running jobs get SIGTERM, so that trainings can close their
    runs, and SIGKILL after 20 seconds. `threads` is per job: more threads than cores would slow
    down every training.
    """
    waiting, running = iter(jobs), list[_Running]()
    ending = set[int]()
    slots = list(range(at_once))
    with exit_on_signals(), contextlib.ExitStack() as ended_last:
        ended_last.callback(lambda: _end([one.process for one in running]))
        while True:
            while slots and (job := next(waiting, None)) is not None:
                running.append(_start(job, slots.pop(0), at_once, threads))
            if not running:
                return
            for one in [one for one in running if one.process.pid not in ending]:
                if should_end(one.job):
                    ending.add(one.process.pid)
                    _signal(one.process, signal.SIGTERM)
            for ended in [one for one in running if one.process.poll() is not None]:
                running.remove(ended)
                slots.append(ended.slot)
                ending.discard(ended.process.pid)
                seconds = time.monotonic() - ended.started
                yield Outcome(ended.job, ended.process.returncode, seconds)
            time.sleep(_POLL)


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP (the terminal was closed) raise `SystemExit`."""
    ends = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, _raise_exit) for number in ends]
    try:
        yield
    finally:
        for number, handler in zip(ends, before, strict=True):
            signal.signal(number, handler)


def _raise_exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _start(job: Job, slot: int, at_once: int, threads: int) -> _Running:
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, **job.environment}
    if at_once > 1 and (devices := _gpus(environment)):  # one per job, in turn
        environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    environment.pop("MLFLOW_RUN_ID", None)  # the run of this process
    environment[SUPERVISOR] = str(os.getpid())
    with job.log.open("ab") as log:
        _lock(log)
        process = subprocess.Popen(  # noqa: S603 (our own command line)
            job.command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    return _Running(job, process, time.monotonic(), slot)


def wait_for_orphans(folder: Path) -> None:
    """Waits until the jobs with logs in a folder have ended, whose supervisor was killed.

    They notice it, and end by themselves. Raises `InputError` if one goes on for a minute.
    """
    for path in sorted(folder.glob("*.log")):
        with path.open("ab") as log:
            _lock(log)


def _lock(log: IO[bytes]) -> None:
    """Locks the log of a job, for as long as it or one of its subprocesses has the file open."""
    end = time.monotonic() + _ORPHANS
    while True:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise InputError(
                    f"another process still writes {log.name}; end it (`fuser {log.name}` shows "
                    "its number), then try again"
                ) from None
        time.sleep(_POLL)


def _gpus(environment: Mapping[str, str]) -> list[str]:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device for device in visible.split(",") if device.strip()]
    import torch  # counts GPUs without initializing CUDA, which subprocesses could not share

    return [str(index) for index in range(torch.cuda.device_count())]


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
        _signal(process, signal.SIGKILL)  # its remaining subprocesses


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # its process group has ended
        os.killpg(process.pid, number)
