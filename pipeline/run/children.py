"""The trainings below a parent run, each a process and a run of its own."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pipeline.checkpoints.folder import RunFolder, find_local, outputs_root
from pipeline.console import print_note, print_result
from pipeline.errors import InputError, TrainingError
from pipeline.run.workers import Job, Outcome, run_jobs
from pipeline.tracking.family import FOLD, PARENT, Child, children
from pipeline.tracking.logger import RunTracker

_GIB = 1024**3
_MISTAKE = 2  # exit code of a command that a person got wrong


class ChildTraining(NamedTuple):
    """One of the trainings.

    Attributes:
        number: tells it from the others, from 0.
        shown: what a person calls it, as "fold 3".
        arguments: of `unroll train`.
    """

    number: int
    shown: str
    arguments: list[str]


def run_trainings(
    parent: RunFolder,
    trainings: Sequence[ChildTraining],
    jobs: int,
    kind: str,
    shown: Callable[[Mapping[str, float]], str],
) -> list[Outcome]:
    """Runs what is not finished; what was killed goes on.

    Args:
        parent: the run above; logs are in a folder `<kind>s` of it.
        trainings: all of them.
        jobs: how many at the same time.
        kind: what one of them is, as "fold".
        shown: says of the test scores what a person should see.

    Returns:
        Those that failed.

    Raises:
        InputError: one of them met a mistake of a person; the others would too.
    """
    todo = _unfinished(parent, trainings, kind)
    jobs = min(jobs, len(todo)) or 1
    if done := len(trainings) - len(todo):
        print_note(f"{done} of {len(trainings)} {kind}s are finished already")
    print_note(f"{len(todo)} {kind}s to run, {jobs} at a time; logs in {parent.path / f'{kind}s'}")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    names = {one.number: one.shown for one in trainings}
    failed = []
    for outcome in run_jobs(todo, jobs, threads):
        scores = {child.fold: child.scores for child in children(parent.run_id)}
        said, name = shown(scores.get(outcome.job.number, {})), names[outcome.job.number]
        if outcome.code:
            failed.append(outcome)
            said = f"failed: {last_line(outcome.job.log)}"
        print_note(f"{name}: {said}  ({outcome.seconds / 60:.1f} min)")
        if outcome.code == _MISTAKE:  # the others would make the same one
            raise InputError(f"{name}: {last_line(outcome.job.log)}")
    return failed


def reopen_parent(resume: str, plan: str, what: str) -> tuple[RunTracker, dict[str, Any]]:
    """Goes on with a parent run.

    Args:
        resume: its id, the beginning of one, or its name.
        plan: the file of its folder that holds what is to be done, with its "name".
        what: it is, as "crossvalidation".

    Returns:
        The tracker of the run, and the plan.

    Raises:
        InputError: this folder has no such run.
    """
    folder = find_local(resume)
    if folder is None or not (folder.path / plan).is_file():
        raise InputError(
            f"no {what} '{resume}' is in this folder's outputs/; resume where it was "
            "started, or set UNROLL_OUTPUTS (`unroll runs` lists the runs)"
        )
    kept = json.loads((folder.path / plan).read_text(encoding="utf-8"))
    tracker = RunTracker.start(
        experiment="of-the-run",
        run_name=kept["name"],
        run_id=folder.run_id,
        outputs=outputs_root(),
    )
    return tracker, kept


def run_parent(
    tracker: RunTracker,
    name: str,
    verb: str,
    work: Callable[[RunFolder], tuple[list[Outcome], str]],
) -> int:
    """Runs what stands below a parent run, and ends that run as it came out.

    Args:
        tracker: of the parent.
        name: of the parent.
        verb: that goes on with it, as "crossvalidate".
        work: gets the parent's folder; gives the trainings that failed, and what all of them were,
            as "10 folds".

    Returns:
        The exit code, 0.

    Raises:
        TrainingError: a training failed; the others were run.
    """
    parent = RunFolder.of(str(tracker.version))
    resume = f"unroll {verb} --resume {tracker.version}"
    try:
        failed, what = work(parent)
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt | SystemExit)
        tracker.finish("KILLED" if is_interrupt else "FAILED")
        print_note(f"go on with: {resume}")
        raise
    tracker.finish("FAILED" if failed else "FINISHED")
    print_result(f"run {tracker.version} ({name})")
    if failed:
        logs = ", ".join(str(outcome.job.log) for outcome in failed)
        raise TrainingError(
            f"{len(failed)} of {what} failed; what they said is in {logs}; go on with `{resume}`"
        )
    return 0


def default_jobs(config: Mapping[str, Any]) -> int:
    """Tells how many small trainings fit: a GPU each, or a core and 2 GiB of memory each."""
    trainer = config.get("trainer") or {}
    if trainer.get("accelerator") != "cpu" and torch.cuda.is_available():
        is_one = trainer.get("devices") in (1, "1", "auto", None)
        return torch.cuda.device_count() if is_one else 1
    import psutil

    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // (2 * _GIB)))


def last_line(log: Path) -> str:
    """Gives the last line of a log that says anything."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"see {log}")


def _unfinished(parent: RunFolder, trainings: Sequence[ChildTraining], kind: str) -> list[Job]:
    before = {child.fold: child for child in children(parent.run_id)}
    (parent.path / f"{kind}s").mkdir(exist_ok=True)
    return [
        _job(parent, one, kind, before.get(one.number))
        for one in trainings
        if one.number not in before or before[one.number].status != "FINISHED"
    ]


def _job(parent: RunFolder, training: ChildTraining, kind: str, child: Child | None) -> Job:
    verb = ["train", *training.arguments]
    if child is not None and RunFolder.of(child.run_id).last.is_file():
        verb = ["train", f"--resume={child.run_id}"]
    return Job(
        number=training.number,
        command=[sys.executable, "-m", "pipeline", *verb],
        environment={PARENT: parent.run_id, FOLD: str(training.number)},
        log=parent.path / f"{kind}s" / f"{training.number}.log",
    )
