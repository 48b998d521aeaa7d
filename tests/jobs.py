"""Runs the trainings of parent runs in the process of the test, without their slow start."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from pipeline.run.groups.workers import Outcome
from tests.harness import all_runs, command


class Inside(NamedTuple):
    """What was run; `interrupted` are numbers of trainings that raise Ctrl-C once."""

    interrupted: set[int]
    commands: dict[int, list[str]]


def run_inside(monkeypatch: pytest.MonkeyPatch, module: object) -> Inside:
    """Replaces `run_jobs` in a module, and records the commands of the trainings."""
    inside = Inside(set(), {})

    def run_jobs(jobs, at_once, threads, should_end=lambda job: False) -> Iterator[Outcome]:
        waiting = iter(jobs)
        while (job := next(waiting, None)) is not None:
            if job.number in inside.interrupted:
                inside.interrupted.discard(job.number)
                raise KeyboardInterrupt
            with pytest.MonkeyPatch.context() as patch:
                for name, value in job.environment.items():
                    patch.setenv(name, value)
                job.log.write_text("a log\n")
                inside.commands[job.number] = list(job.command)
                code = command(*job.command[job.command.index("pipeline") + 1 :])
            yield Outcome(job, 143 if should_end(job) else code, 1.0)

    monkeypatch.setattr(module, "run_jobs", run_jobs)
    return inside


def family(folder):
    """The only parent run in a folder, and its child runs by number."""
    runs = all_runs(folder)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    numbers = sorted(int(run.data.tags["fold"]) for run in runs if run not in parents)
    assert len(parents) == 1
    assert numbers == sorted({*numbers}), "a training has two runs"
    return parents[0], {int(r.data.tags["fold"]): r for r in runs if r not in parents}
