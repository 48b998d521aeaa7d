"""Runs the trials of a sweep, each as a process and a child run."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.callbacks.score_file import SCORES, read_scores
from pipeline.checkpoints.folder import RunFolder
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.run.groups.children import (
    MISTAKE,
    ChildTraining,
    as_data,
    last_line,
    placed,
    threads_per_job,
    training_job,
)
from pipeline.run.groups.workers import Job, Outcome, run_jobs
from pipeline.run.sweep.plan import Plan
from pipeline.run.sweep.space import flags_of
from pipeline.run.sweep.study import Study
from pipeline.tracking.family import Child, children, mark_pruned

_STARTS = 3  # of a trial whose process is killed, for example for want of memory


class Trials:
    """The trials of a sweep that are left to do, as an iterator of jobs for `run_jobs`.

    Args:
        parent: Folder of the parent run.
        plan: The sweep.
        study: Its trials in the database.
        is_resumed: Whether the plan was read from the folder, which may be from someone else.
    """

    def __init__(self, parent: RunFolder, plan: Plan, study: Study, is_resumed: bool) -> None:
        self.parent, self.plan, self.study = parent, plan, study
        self.metric = plan.settings["metric"]
        self.is_resumed = is_resumed
        self._params: dict[int, dict[str, Any]] = {}
        self._starts: dict[int, int] = {}
        self._pruned: set[int] = set()
        self._again = self._interrupted()

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        """Returns the job of an interrupted trial, or of a new one."""
        if self._again:
            number = self._again.pop(0)
        elif self.study.num_trials < self.plan.trials:
            number, self._params[number] = self.study.ask()
        else:
            raise StopIteration
        self._starts[number] = self._starts.get(number, 0) + 1
        return self._job(number)

    def run(self, at_once: int) -> list[Outcome]:
        """Runs the trials, and returns the outcomes of those that failed.

        An `InputError` of all trials is raised here.
        """
        left = len(self._again) + max(0, self.plan.trials - self.study.num_trials)
        folder = self.parent.path / "trials"
        print_note(f"running {left} trials, {at_once} at a time; logs: {folder}")
        threads = threads_per_job(at_once)
        failed = [
            outcome
            for outcome in run_jobs(self, at_once, threads, self._should_end)
            if self._is_failed(outcome)
        ]
        if failed and {one.code for one in failed} == {MISTAKE} and len(failed) == self.plan.trials:
            raise InputError(f"trial {failed[0].job.number}: {last_line(failed[0].job.log)}")
        return failed

    def _children(self) -> dict[int, Child]:
        return {child.number: child for child in children(self.parent.run_id)}

    def _interrupted(self) -> list[int]:
        """Ends the trials whose training has ended unnoticed; returns the other open ones."""
        found, left = self._children(), []
        for number, params in self.study.unfinished():
            self._params[number] = params
            if number in found and found[number].status == "FINISHED":
                self._complete(number)
            else:
                left.append(number)
        return left

    def _job(self, number: int) -> Job:
        name = f"{self.plan.name}-trial{number:03d}"
        training = ChildTraining(
            number,
            f"trial {number}",
            [
                *placed(self.parent.path, self.plan.arguments),
                *flags_of(self._params[number]),
                f"--run_name={name}",
            ],
            verb="fit",
            environment={SCORES: str(self._scores(number))},
        )
        if self.is_resumed:
            training = as_data(self.parent, training)
        return training_job(self.parent, training, "trial", self._children().get(number))

    def _scores(self, number: int) -> Path:
        return self.parent.path / "trials" / f"{number}.jsonl"

    def _should_end(self, job: Job) -> bool:
        """Reports new scores, and returns whether the trial is pruned."""
        self.study.beat(job.number)
        values = read_scores(self._scores(job.number), self.metric)
        if self.study.report(job.number, dict(enumerate(values))):
            self._pruned.add(job.number)
            return True
        return False

    def _is_failed(self, outcome: Outcome) -> bool:
        """Records the end of a trial's process; one that was killed is started again."""
        number = outcome.job.number
        shown = "  ".join(flag.lstrip("-") for flag in flags_of(self._params[number]))
        took = f"({outcome.seconds / 60:.1f} min)  {shown}"
        if outcome.code == 0:
            value = self._complete(number)
            print_note(f"trial {number}: {self.metric} {value:.6g}  {took}")
        elif number in self._pruned:
            self._prune(number)
            print_note(f"trial {number}: pruned  {took}")
        elif outcome.code < 0 and self._starts[number] < _STARTS:
            print_note(f"trial {number}: killed by signal {-outcome.code}; it is started again")
            self._again.append(number)
        else:
            self.study.end(number, None)
            print_note(f"trial {number}: failed: {last_line(outcome.job.log)}  {took}")
            return True
        return False

    def _complete(self, number: int) -> float:
        values = read_scores(self._scores(number), self.metric)
        best = min if self.plan.settings["direction"] == "min" else max
        value = best((one for one in values if not math.isnan(one)), default=math.nan)
        self.study.report(number, dict(enumerate(values)))
        self.study.end(number, None if math.isnan(value) else value)
        return value

    def _prune(self, number: int) -> None:
        found = self._children()
        if number in found:
            mark_pruned(found[number].run_id)
        self.study.end(number, None, is_pruned=True)
