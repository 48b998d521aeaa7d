"""Runs commands in parallel, each with its own log file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 20.0  # seconds between SIGTERM and SIGKILL
_POLL = 0.2


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


def run_jobs(jobs: Sequence[Job], at_once: int, threads: int) -> Iterator[Outcome]:
    """Runs at most `at_once` jobs at the same time, and yields the result of each when it ends.

    Each job has its own process group, so that Ctrl-C reaches it only through this process. When
    the iteration ends for any reason, running jobs get SIGTERM, so that trainings can close their
    runs, and SIGKILL after 20 seconds. `threads` is per job: more threads than cores would slow
    down every training.
    """
    waiting, running = list(jobs), list[_Running]()
    slots = list(range(at_once))
    ends = (signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal was closed
    before = [signal.signal(number, _raise_exit) for number in ends]
    try:
        while waiting or running:
            while waiting and slots:
                running.append(_start(waiting.pop(0), slots.pop(0), at_once, threads))
            for ended in [one for one in running if one.process.poll() is not None]:
                running.remove(ended)
                slots.append(ended.slot)
                seconds = time.monotonic() - ended.started
                yield Outcome(ended.job, ended.process.returncode, seconds)
            time.sleep(_POLL)
    finally:
        _end([one.process for one in running])
        for number, handler in zip(ends, before, strict=True):
            signal.signal(number, handler)


def _raise_exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _start(job: Job, slot: int, at_once: int, threads: int) -> _Running:
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, **job.environment}
    if at_once > 1 and (devices := _gpus(environment)):  # one per job, in turn
        environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    environment.pop("MLFLOW_RUN_ID", None)  # the run of this process
    with job.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 (our own command line)
            job.command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    return _Running(job, process, time.monotonic(), slot)


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
