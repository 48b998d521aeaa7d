"""Runs the trainings of a parent run in parallel, each in its own process and child run."""

import json
import os
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import yaml

from pipeline.checkpoints.folder import RunFolder, find_local, outputs_root
from pipeline.checkpoints.trust import trusted
from pipeline.console import print_note, print_result
from pipeline.errors import InputError, TrainingError
from pipeline.run.experiment import Experiment
from pipeline.run.parameters import relevant_parameters
from pipeline.run.workers import Job, Outcome, run_jobs
from pipeline.tracking.family import FOLD, PARENT, Child, children
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import GROUP_TAG, config_hash
from pipeline.tracking.provenance import (
    command_line,
    package_versions,
    provenance_tags,
    source_tags,
)
from pipeline.tracking.secrets import removed_keys

_GIB = 1024**3
_MOST = 100_000  # trainings or sentences in a plan
_MISTAKE = 2  # exit code for `InputError`


class ChildTraining(NamedTuple):
    """One training of a parent run: its number from 0, its name in messages, and its flags."""

    number: int
    label: str
    arguments: list[str]


def run_trainings(
    parent: RunFolder,
    trainings: Sequence[ChildTraining],
    jobs: int,
    kind: str,
    shown: Callable[[Mapping[str, float]], str],
    is_resumed: bool = False,
) -> list[Outcome]:
    """Runs all trainings that are not finished, interrupted ones from their checkpoints.

    With `is_resumed`, the trainings were read from the folder of the parent run, which may be from
    someone else: their configurations can name only trusted classes.
    Logs are written to the folder `<kind>s` of the parent run; `shown` formats test scores for the
    user. Returns the failed trainings. An `InputError` of a training, which the others would have
    too, is raised here.
    """
    if is_resumed:
        trainings = [_as_data(parent, training) for training in trainings]
    todo = _unfinished(parent, trainings, kind)
    jobs = min(jobs, len(todo)) or 1
    if done := len(trainings) - len(todo):
        print_note(f"{done} of {len(trainings)} {kind}s are already finished")
    print_note(f"running {len(todo)} {kind}s, {jobs} at a time; logs: {parent.path / f'{kind}s'}")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    names = {one.number: one.label for one in trainings}
    failed = []
    for outcome in run_jobs(todo, jobs, threads):
        scores = {child.fold: child.scores for child in children(parent.run_id)}
        result, name = shown(scores.get(outcome.job.number, {})), names[outcome.job.number]
        if outcome.code:
            failed.append(outcome)
            result = f"failed: {last_line(outcome.job.log)}"
        print_note(f"{name}: {result}  ({outcome.seconds / 60:.1f} min)")
        if outcome.code == _MISTAKE:
            raise InputError(f"{name}: {last_line(outcome.job.log)}")
    return failed


def _as_data(parent: RunFolder, training: ChildTraining) -> ChildTraining:
    """Adds the flag by which `unroll train` trusts no module but those that the user named."""
    for argument in training.arguments:
        if argument.partition("=")[0] in ("--trust", "--kept-in"):
            raise InputError(
                f"{parent.path}: a training in the plan has the flag {argument[:200]}, which only "
                "the user can give; leave it out of the plan"
            )
    return training._replace(arguments=[f"--kept-in={parent.path}", *training.arguments])


def open_parent(
    experiment: Experiment, name: str, config: Mapping[str, Any], tags: Mapping[str, str]
) -> tuple[RunTracker, RunFolder]:
    """Creates a parent run for trainings of an experiment with a changed configuration.

    Raises `InputError` if the configuration contains a secret, since each training reads it from a
    file.
    """
    if keys := removed_keys(config):
        raise InputError(
            f"{', '.join(keys)} contains a secret, which would be stored in the files of several "
            "trainings; let the class read it from an environment variable"
        )
    tracker = RunTracker.start(
        experiment=experiment.group,
        run_name=name,
        tags={
            "task": experiment.model.experiment,
            "corpus": experiment.data.name,
            GROUP_TAG: config_hash(config),
            **tags,
            **source_tags(),
            **provenance_tags(1),
        },
        params=relevant_parameters(config, []),
        outputs=outputs_root(),
    )
    folder = RunFolder.of(str(tracker.version))
    folder.create(name, yaml.safe_dump(config, sort_keys=False))
    tracker.log_text(command_line() + "\n", "command.txt")
    tracker.log_text(package_versions(), "packages.txt")
    return tracker, folder


def reopen_parent(
    resume: str, plan: str, what: str, kinds: Mapping[str, object]
) -> tuple[RunTracker, dict[str, Any]]:
    """Reopens a parent run, and reads the JSON file `plan` in its folder.

    `kinds` are names and types of its fields; `what` is the kind of the run, e.g.
    "crossvalidation". Raises `InputError` if the outputs folder has no such run, or the file lacks
    a field, or has a value of another type or a number that is not from 1 to 100,000.
    """
    folder = find_local(resume)
    if folder is None or not (folder.path / plan).is_file():
        raise InputError(
            f"no {what} '{resume}' in {outputs_root()}; resume in the folder where it was started, "
            "or set UNROLL_OUTPUTS (`unroll runs` lists the runs)"
        )
    try:
        kept = json.loads((folder.path / plan).read_text(encoding="utf-8"))
        if wrong := [field for field in kinds if not _is_a(kept[field], kinds[field])]:
            raise TypeError(*wrong)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{folder.path / plan} is damaged: expected a JSON object with "
            f"{', '.join(kinds)}; restore the file, or start the {what} again"
        ) from error
    tracker = RunTracker.start(
        experiment="of-the-run", run_name=kept["name"], run_id=folder.run_id, outputs=outputs_root()
    )
    tracker.resume()
    return tracker, {field: kept[field] for field in kinds}


def _is_a(value: object, kind: Any) -> bool:  # noqa: ANN401 (an annotation)
    """Returns whether a value of a JSON file has the type that an annotation states."""
    if kind is Any:
        return True
    if kind is int:
        return type(value) is int and 1 <= value <= _MOST
    elements = typing.get_args(kind)[-1:]
    inner = value.values() if isinstance(value, dict) else value
    return isinstance(value, typing.get_origin(kind) or kind) and all(
        _is_a(each, element) for element in elements for each in cast("Iterable[object]", inner)
    )


def run_parent(
    tracker: RunTracker,
    name: str,
    verb: str,
    work: Callable[[RunFolder], tuple[list[Outcome], str]],
) -> int:
    """Runs the trainings of a parent run, sets its status, and returns the exit code.

    `verb` is the command that resumes the parent run. `work` takes the folder of the parent run,
    and returns the failed trainings and a description of all, e.g. "10 folds". Raises
    `TrainingError` if a training failed, after running the others.
    """
    parent = RunFolder.of(str(tracker.version))
    resume = f"unroll {verb} --resume {tracker.version}"
    try:
        failed, what = work(parent)
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt | SystemExit)
        tracker.finish("KILLED" if is_interrupt else "FAILED")
        print_note(f"continue with: {resume}")
        raise
    tracker.finish("FAILED" if failed else "FINISHED")
    print_result(f"run {tracker.version} ({name})")
    if failed:
        logs = ", ".join(str(outcome.job.log) for outcome in failed)
        raise TrainingError(
            f"{len(failed)} of {what} failed; logs: {logs}; continue with `{resume}`"
        )
    return 0


def default_jobs(config: Mapping[str, Any]) -> int:
    """Returns how many trainings fit the machine: one per GPU, or per core and 2 GiB of RAM."""
    trainer = config.get("trainer") or {}
    if trainer.get("accelerator") != "cpu" and torch.cuda.is_available():
        is_one = trainer.get("devices") in (1, "1", "auto", None)
        return torch.cuda.device_count() if is_one else 1
    import psutil

    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // (2 * _GIB)))


def last_line(log: Path) -> str:
    """Returns the last line of a log that is not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"no message in {log}")


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
    verb += [f"--trust={module}" for module in trusted()]
    # -P: a folder named `pipeline` in the current folder would hide ours.
    search = [] if Path.cwd() == Path(__file__).resolve().parents[2] else ["-P"]
    return Job(
        number=training.number,
        command=[sys.executable, *search, "-m", "pipeline", *verb],
        environment={PARENT: parent.run_id, FOLD: str(training.number)},
        log=parent.path / f"{kind}s" / f"{training.number}.log",
    )
