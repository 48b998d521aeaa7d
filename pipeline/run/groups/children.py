"""Runs the trainings of a parent run in parallel, each in its own process and child run."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from pipeline.checkpoints.folder import RunFolder, write_atomically
from pipeline.checkpoints.trust import trusted
from pipeline.console import print_note
from pipeline.errors import InputError, shortened
from pipeline.options import SECTIONS
from pipeline.preflight.split_arguments import next_flag
from pipeline.run.groups.workers import Job, Outcome, run_jobs, wait_for_orphans
from pipeline.tracking.family import NUMBER, PARENT, Child, children, discard
from pipeline.tracking.run import run_state

_GIB = 1024**3
MISTAKE = 2
"""Exit code for `InputError`."""
_CONFIG = "--config="
_FIELDS = (*SECTIONS, "config")


class ChildTraining(NamedTuple):
    """One training of a parent run: its number from 0, its name in messages, and its flags.

    `verb` is `train` or `fit`; `environment` are variables to add.
    """

    number: int
    label: str
    arguments: list[str]
    verb: str = "train"
    environment: Mapping[str, str] = MappingProxyType({})


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
        trainings = [as_data(parent, training) for training in trainings]
    todo = _unfinished(parent, trainings, kind)
    jobs = min(jobs, len(todo)) or 1
    if done := len(trainings) - len(todo):
        print_note(f"{done} of {len(trainings)} {kind}s are already finished")
    print_note(f"running {len(todo)} {kind}s, {jobs} at a time; logs: {parent.path / f'{kind}s'}")
    threads = threads_per_job(jobs)
    names = {one.number: one.label for one in trainings}
    failed = []
    for outcome in run_jobs(todo, jobs, threads):
        scores = {child.number: child.scores for child in children(parent.run_id)}
        result, name = shown(scores.get(outcome.job.number, {})), names[outcome.job.number]
        if outcome.code:
            failed.append(outcome)
            result = f"failed: {last_line(outcome.job.log)}"
        print_note(f"{name}: {result}  ({outcome.seconds / 60:.1f} min)")
        if outcome.code == MISTAKE:
            raise InputError(f"{name}: {last_line(outcome.job.log)}")
    return failed


def as_data(parent: RunFolder, training: ChildTraining) -> ChildTraining:
    """Returns a training of a stored plan, which trusts no module but those that the user named."""
    fields = fields_of_plan(parent, training.arguments)
    return training._replace(arguments=[f"--kept-in={parent.path}", *fields])


def fields_of_plan(parent: RunFolder, arguments: Sequence[str]) -> list[str]:
    """Returns the arguments in the plan of a parent run, each as `--name=value`.

    Raises `InputError` for a flag that is no field of the configuration, and for a configuration
    file outside of the parent's folder.
    """
    fields, queue = [], list(arguments)
    while queue:
        try:
            flag = next_flag(queue)
        except InputError as error:
            raise InputError(f"{parent.path}: a training in the plan: {error}") from error
        if flag.value is None or flag.name.removesuffix("+").partition(".")[0] not in _FIELDS:
            raise InputError(
                f"{parent.path}: a training in the plan has the flag --{shortened(flag.name)}, "
                "which only the user can give; leave it out of the plan"
            )
        if flag.name == "config" and not _is_own(parent, flag.value):
            raise InputError(
                f"{parent.path}: a training in the plan has the configuration "
                f"{shortened(flag.value)}; expected a file in the folder of the run"
            )
        fields.append(f"--{flag.name}={flag.value}")
    return fields


def _is_own(parent: RunFolder, config: str) -> bool:
    """Returns whether a configuration is text, or a file in the folder of a run."""
    if config.startswith("{"):
        return True
    is_path = "://" not in config and "\0" not in config
    return is_path and Path(config).resolve().is_relative_to(parent.path.resolve())


def keep_configs(folder: Path, arguments: Sequence[str]) -> list[str]:
    """Copies the configuration files that arguments name, which may change before a resume.

    Returns the arguments with the names of the copies, relative to the folder, which may be moved.
    """
    kept: list[str] = []
    for argument in arguments:
        if _names_file(argument):
            text = Path(argument.removeprefix(_CONFIG)).read_text(encoding="utf-8-sig")
            write_atomically(folder / f"base-{len(kept)}.yaml", text)
            kept.append(f"{_CONFIG}base-{len(kept)}.yaml")
        else:
            kept.append(argument)
    return kept


def placed(folder: Path, arguments: Sequence[str]) -> list[str]:
    """Returns arguments with the paths of the configuration files in a folder."""
    return [
        f"{_CONFIG}{folder / each.removeprefix(_CONFIG)}" if _names_file(each) else each
        for each in arguments
    ]


def _names_file(argument: str) -> bool:
    value = argument.removeprefix(_CONFIG)
    return argument.startswith(_CONFIG) and value[:1] != "{" and "://" not in value


def default_jobs(config: Mapping[str, Any]) -> int:
    """Returns how many trainings fit the machine: one per GPU, or per core and 2 GiB of RAM."""
    trainer = config.get("trainer")
    if not isinstance(trainer, Mapping):  # of a plan that someone has changed
        trainer = {}
    if trainer.get("accelerator") != "cpu" and torch.cuda.is_available():
        is_one = trainer.get("devices") in (1, "1", "auto", None)
        return torch.cuda.device_count() if is_one else 1
    import psutil

    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // (2 * _GIB)))


def threads_per_job(jobs: int) -> int:
    """Returns how many threads each of several trainings at the same time should have."""
    return max(1, (os.cpu_count() or 1) // jobs)


def last_line(log: Path) -> str:
    """Returns the last line of a log that is not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"no message in {log}")


def _unfinished(parent: RunFolder, trainings: Sequence[ChildTraining], kind: str) -> list[Job]:
    wait_for_orphans(parent.path / f"{kind}s")
    before = {child.number: child for child in children(parent.run_id)}
    return [
        training_job(parent, one, kind, before.get(one.number))
        for one in trainings
        if one.number not in before or before[one.number].status != "FINISHED"
    ]


def training_job(parent: RunFolder, training: ChildTraining, kind: str, child: Child | None) -> Job:
    """Returns the job of a training, which continues the child run `child` if there is one.

    A child run without a checkpoint is deleted, so that no number has two runs.
    """
    (parent.path / f"{kind}s").mkdir(exist_ok=True)
    verb = [training.verb, *training.arguments]
    if child is not None and RunFolder.of(child.run_id).last.is_file():
        verb = [training.verb, f"--resume={child.run_id}"]
    elif child is not None:
        discard(child.run_id)
    verb += [f"--trust={module}" for module in trusted()]
    # -P: a folder named `pipeline` in the current folder would hide ours.
    search = [] if Path.cwd() == Path(__file__).resolve().parents[3] else ["-P"]
    return Job(
        number=training.number,
        command=[sys.executable, *search, "-m", "pipeline", *verb],
        environment={
            PARENT: parent.run_id,
            NUMBER: str(training.number),
            "MLFLOW_EXPERIMENT_NAME": run_state(parent.run_id).experiment,
            **training.environment,
        },
        log=parent.path / f"{kind}s" / f"{training.number}.log",
    )
