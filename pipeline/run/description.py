"""Writes the descriptions of a run and of its experiment."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.contracts import Generator, SentenceTagger, TextClassifier
from pipeline.preflight.configurations import configuration_name, expected_score
from pipeline.protocols import implements
from pipeline.run.experiment import Experiment
from pipeline.run.page import (
    COMMAND_TAG,
    EXPECTED_TAG,
    RESUMED_TAG,
    Page,
    code_block,
    with_headline,
)
from pipeline.tracking.family import configuration_of_parent
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.provenance import UNCOMMITTED_TAG, command_line, source_tags
from pipeline.tracking.store import NOTE_TAG
from pipeline.tracking.views import CHARTS, SEEDS, view_address, view_tags

_WRITTEN_TAG = "unroll.description"  # hash of the description that Unroll wrote last


def describe_experiment(tracker: RunTracker, experiment: Experiment) -> None:
    """Writes the description and the views of the run's experiment, unless it has a description.

    The first line is what MLflow shows above the runs.
    """
    task, data = experiment.model, experiment.data
    is_of_task = tracker.name == f"{task.experiment}/{data.name}"
    charts, seeds = (view_address(tracker.experiment_id, key) for key in (CHARTS, SEEDS))
    links = f"[Charts]({charts}) · [means over seeds]({seeds})"
    group = "Runs with the same tag `unroll.group` differ only in seed, name and hardware."
    if not is_of_task:
        tracker.describe_experiment(f"Runs of Unroll. {links}\n\n{group}\n", view_tags(""))
        return
    test = "test/" + task.monitor.partition("/")[2]
    better = "lower" if task.monitor_mode == "min" else "higher"
    note = (
        f"Task {task.experiment}, corpus {data.name}: compare `{test}` ({better} is better). "
        f"{links}\n\n{code_block(data.summary.splitlines())}\n\n"
        f"The best checkpoint of a run is that of `{task.monitor}`. {group}\n"
    )
    tracker.describe_experiment(note, view_tags(task.monitor))


def first_tags(arguments: Sequence[str]) -> dict[str, str]:
    """Returns the tags that a run keeps for ever: its command, its code and the scores expected."""
    expected = " ".join(expected_score(Path(file)) for file in _files(arguments))
    tags = {COMMAND_TAG: command_line(), EXPECTED_TAG: expected.strip(), **source_tags()}
    return {name: text for name, text in tags.items() if text}


def resumed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the tag with the commands that resumed a run, to which this one is added."""
    lines = [*tags.get(RESUMED_TAG, "").splitlines(), command_line()]
    return {RESUMED_TAG: "\n".join(lines)}


def configuration_names(arguments: Sequence[str]) -> dict[str, str]:
    """Returns the parameter `config`, unless `mlflow run` logs it; children have their parent's."""
    names = configuration_of_parent() or " ".join(
        configuration_name(Path(file)) for file in _files(arguments)
    )
    return {} if os.environ.get("MLFLOW_RUN_ID") or not names else {"config": names}


def write_page(
    tracker: RunTracker,
    experiment: Experiment,
    status: str,
    tags: Mapping[str, str],
    examples: Sequence[str],
) -> None:
    """Writes the description of a run, unless the user has changed it.

    Args:
        tracker: The run.
        experiment: What it trains.
        status: Status of the run.
        tags: Its tags, including those of `first_tags` and `resumed_tags`.
        examples: Lines of the model's output.
    """
    if not tracker.is_active:
        return
    commands = [tags.get(COMMAND_TAG, ""), *tags.get(RESUMED_TAG, "").splitlines()]
    page = Page(
        status=status,
        monitor=experiment.model.monitor,
        scores=tracker.values,
        expected=tags.get(EXPECTED_TAG, ""),
        corpus=f"{experiment.data.name}, {experiment.data.summary}",
        model=_model(experiment.model),
        commands=commands,
        commit=_commit(tags),
        use=_uses(experiment.model, str(tracker.version)),
        examples=examples,
    )
    write_note(tracker, page.markdown())


def write_note(tracker: RunTracker, note: str) -> None:
    """Writes a description of a run, unless the user has changed the one before."""
    old = tracker.tags.get(NOTE_TAG, "")
    if not old or _hash(old) == tracker.tags.get(_WRITTEN_TAG):
        tracker.set_tags({NOTE_TAG: note, _WRITTEN_TAG: _hash(note)})


def commands_of(tracker: RunTracker) -> list[str]:
    """Returns the first command of a run, and those that resumed it; the last one is this one."""
    first = tracker.tags.get(COMMAND_TAG)
    if first is None:
        return [command_line()]
    return [first, *resumed_tags(tracker.tags)[RESUMED_TAG].splitlines()]


def headline_tags(tags: Mapping[str, str], line: str) -> dict[str, str]:
    """Returns the tags of a description with another first line."""
    old = tags.get(NOTE_TAG, "")
    note = with_headline(old, line)
    was_ours = not old or _hash(old) == tags.get(_WRITTEN_TAG)
    return {NOTE_TAG: note, **({_WRITTEN_TAG: _hash(note)} if was_ours else {})}


def _files(arguments: Sequence[str]) -> list[str]:
    """Returns the configuration files among arguments."""
    flags = [word.partition("=") for word in arguments]
    files = [file for flag, _, file in flags if flag == "--config" and not file.startswith("{")]
    return list(dict.fromkeys(files))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _commit(tags: Mapping[str, str]) -> str:
    commit = tags.get("mlflow.source.git.commit")
    if commit is None:
        return ""
    changed = tags.get(UNCOMMITTED_TAG, "none")
    remark = "" if changed == "none" else f" with uncommitted changes in {changed}"
    return f" (commit {commit[:10]}{remark})"


def _model(task: Any) -> str:  # noqa: ANN401 (a task of any class)
    encoder = task.encoder
    sizes = {name: getattr(encoder, name, None) for name in ("num_layers", "hidden_size")}
    sizes["order"] = getattr(task, "order", None)
    shown = ", ".join(f"{name} {size}" for name, size in sizes.items() if isinstance(size, int))
    return f"{type(task).__name__}, {type(encoder).__name__}{f' ({shown})' * bool(shown)}"


def _uses(task: Any, run_id: str) -> list[str]:  # noqa: ANN401
    uses = [f"unroll test --run {run_id}"]
    if implements(task, Generator):
        uses = [f"unroll generate --run {run_id}", f"unroll score --run {run_id} --input FILE"]
    elif implements(task, SentenceTagger) or implements(task, TextClassifier):
        uses = [f"unroll predict --run {run_id} --input FILE"]
    return uses
