"""Several commands at a time, each with a log of its own, none left behind."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 20.0  # seconds that a command gets to end after SIGTERM
_POLL = 0.2


class Job(NamedTuple):
    """A command to run.

    Attributes:
        number: tells it from the others.
        command: program and arguments.
        environment: added to this process' own.
        log: takes what it writes; what is there already stays in front.
    """

    number: int
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path


class Outcome(NamedTuple):
    """How a job ended: its exit code (negative: the signal), and after how many seconds."""

    job: Job
    code: int
    seconds: float


class _Running(NamedTuple):
    job: Job
    process: subprocess.Popen[bytes]
    started: float
    slot: int


def run_jobs(jobs: Sequence[Job], at_once: int, threads: int) -> Iterator[Outcome]:
    """Runs jobs, and gives each as it ends.

    A job has a process group of its own, so that a Ctrl-C reaches it through us, once. Whatever
    ends the iteration, what still runs is ended first: SIGTERM, so that trainings close their
    runs, and SIGKILL after 20 seconds.

    Args:
        jobs: in the order of their start.
        at_once: how many run at the same time.
        threads: cores for each: more threads than cores make every training crawl.
    """
    waiting, running = list(jobs), list[_Running]()
    slots = list(range(at_once))
    ends = (signal.SIGTERM, signal.SIGHUP)  # a closed terminal leaves nothing behind either
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
    if at_once > 1 and (devices := _gpus(environment)):  # one for each, in turn
        environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    environment.pop("MLFLOW_RUN_ID", None)  # names the parent's run
    with job.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            job.command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    return _Running(job, process, time.monotonic(), slot)


def _gpus(environment: Mapping[str, str]) -> list[str]:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device for device in visible.split(",") if device.strip()]
    import torch  # counts without starting a driver that children could not share

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
        _signal(process, signal.SIGKILL)  # what it has left behind


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # nothing of its group is left
        os.killpg(process.pid, number)
