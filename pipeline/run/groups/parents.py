"""Parent runs of several trainings: opened with a stored plan, resumed, and ended."""

import json
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

import yaml

from pipeline.checkpoints.folder import RunFolder, find_local, outputs_root, write_atomically
from pipeline.console import print_note, print_result
from pipeline.errors import InputError, TrainingError
from pipeline.run.description import (
    commands_of,
    configuration_names,
    first_tags,
    resumed_tags,
    write_note,
)
from pipeline.run.experiment import Experiment
from pipeline.run.groups.page import ParentPage
from pipeline.run.groups.workers import Outcome, exit_on_signals
from pipeline.run.parameters import relevant_parameters
from pipeline.run.resume import send_rest
from pipeline.tracking.family import children
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import GROUP_TAG, group_name
from pipeline.tracking.provenance import (
    command_line,
    package_versions,
    provenance_tags,
)
from pipeline.tracking.run import run_state
from pipeline.tracking.secrets import removed_keys

MOST = 100_000
"""Largest number of trainings or sentences in a plan."""
_SHOWN = 3  # logs of failed trainings


def open_parent(
    experiment: Experiment,
    name: str,
    config: Mapping[str, Any],
    tags: Mapping[str, str],
    arguments: Sequence[str] = (),
) -> tuple[RunTracker, RunFolder]:
    """Creates a parent run for trainings of an experiment with a changed configuration.

    `arguments` are those of the configuration parser; the names of the configuration files in them
    are the parameter `config` of the parent run and of its children. A name that was given to
    `mlflow run` is kept instead of `name`; the folder has it.
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
            GROUP_TAG: group_name(config),
            **tags,
            **first_tags(arguments),
            **provenance_tags(1),
        },
        params={**relevant_parameters(config, []), **configuration_names(arguments)},
        outputs=outputs_root(),
    )
    folder = RunFolder.of(str(tracker.version))
    folder.create(tracker.run_name or name, yaml.safe_dump(config, sort_keys=False))
    tracker.log_text(command_line() + "\n", "command.txt")
    tracker.log_text(package_versions(), "packages.txt")
    write_note(tracker, ParentPage("No result yet.", [], commands_of(tracker)).markdown())
    tracker.flush()  # children read the parameter `config`
    return tracker, folder


def keep_plan(tracker: RunTracker, folder: RunFolder, plan: str, fields: Mapping[str, Any]) -> None:
    """Writes the JSON file `plan` into the folder of a parent run, and logs it."""
    write_atomically(folder.path / plan, json.dumps(fields, indent=1))
    tracker.log_artifact(folder.path / plan)


def read_plan(
    resume: str, plan: str, what: str, kinds: Mapping[str, object]
) -> tuple[RunFolder, dict[str, Any]]:
    """Returns the folder of a parent run, and the fields of the JSON file `plan` in it.

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
    return folder, {field: kept[field] for field in kinds}


def is_finished(parent: RunFolder, numbers: Collection[int], kind: str) -> bool:
    """Returns whether a parent run and all its trainings are finished, and says so.

    `numbers` are those of its trainings, and `kind` is what they are, such as "fold".
    """
    done = {child.number for child in children(parent.run_id) if child.status == "FINISHED"}
    if run_state(parent.run_id).status != "FINISHED" or not done >= {*numbers}:
        return False
    send_rest(parent)
    print_note(
        f"run {parent.run_id} ({parent.name}) is finished: {len(numbers)} {kind}s; nothing is "
        "left to do"
    )
    return True


def reopen_parent(folder: RunFolder) -> RunTracker:
    """Reopens the run of a folder, and sets its status to RUNNING."""
    tracker = RunTracker.start(
        experiment="of-the-run", run_name="", run_id=folder.run_id, outputs=outputs_root()
    )
    tracker.resume()
    tracker.set_tags(resumed_tags(tracker.tags))
    return tracker


def _is_a(value: object, kind: Any) -> bool:  # noqa: ANN401 (an annotation)
    """Returns whether a value of a JSON file has the type that an annotation states."""
    if kind is Any:
        return True
    if kind is int:
        return type(value) is int and 1 <= value <= MOST
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
        with exit_on_signals():
            failed, what = work(parent)
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt | SystemExit)
        tracker.finish("KILLED" if is_interrupt else "FAILED")
        print_note(f"continue with: {resume}")
        raise
    tracker.finish("FAILED" if failed else "FINISHED")
    print_result(f"run {tracker.version} ({name})")
    if failed:
        logs = ", ".join(str(outcome.job.log) for outcome in failed[:_SHOWN])
        logs += ", ..." * (len(failed) > _SHOWN)
        raise TrainingError(
            f"{len(failed)} of {what} failed; logs: {logs}; continue with `{resume}`"
        )
    return 0
