"""Cross-validation: one child run per fold, and a parent run with means."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import yaml

from pipeline.checkpoints.folder import RunFolder, write_atomically
from pipeline.console import print_note
from pipeline.contracts import HasFolds
from pipeline.errors import InputError
from pipeline.run.experiment import Experiment, build
from pipeline.run.groups.children import ChildTraining, default_jobs, run_trainings
from pipeline.run.groups.parents import (
    is_finished,
    keep_plan,
    open_parent,
    read_plan,
    reopen_parent,
    run_parent,
)
from pipeline.run.groups.summary import shown_scores, sum_up
from pipeline.run.groups.workers import Outcome
from pipeline.tracking.family import children
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import run_name

_PLAN = "crossvalidation.json"
_FOLDS = 10


class _Plan(NamedTuple):
    """A cross-validation, stored in the parent run's folder, with the configuration of fold 0."""

    name: str
    config: dict[str, Any]
    num_folds: int


def crossvalidate(
    arguments: Sequence[str], resume: str | None, num_folds: int | None, jobs: int | None
) -> int:
    """Trains and tests a model on each fold of a corpus, and returns the exit code.

    `arguments` are those of the configuration parser, and are ignored when a parent run is resumed.
    By default there are the folds of the corpus, else 10, and as many jobs as fit the machine.
    A finished parent run of which nothing is left to do is not changed. Raises `TrainingError` if a
    fold failed; the others are run.
    """
    if resume is None:
        return _begin(arguments, num_folds, jobs)
    folder, kept = read_plan(resume, _PLAN, "crossvalidation", get_type_hints(_Plan))
    plan = _checked(_Plan(**kept))
    with folder.locked():
        if is_finished(folder, range(plan.num_folds), "fold"):
            return 0
        return _run(reopen_parent(folder), plan, jobs, is_resumed=True)


def _run(tracker: RunTracker, plan: _Plan, jobs: int | None, is_resumed: bool) -> int:
    print_note(
        f"run {tracker.version} ({plan.name}) of experiment {tracker.name}: {plan.num_folds} folds"
    )

    def work(parent: RunFolder) -> tuple[list[Outcome], str]:
        failed = _run_folds(parent, plan, jobs or default_jobs(plan.config), is_resumed)
        found = children(parent.run_id)
        sum_up(tracker, parent, found, "fold")
        return failed, f"{plan.num_folds} folds"

    return run_parent(tracker, plan.name, "crossvalidate", work)


def _checked(plan: _Plan) -> _Plan:
    """Returns a stored plan; raises `InputError` if its configuration has no source of data."""
    part: object = plan.config
    for name in ("data", "init_args", "source", "init_args"):
        part = part.get(name) if isinstance(part, dict) else None
    if not isinstance(part, dict):
        raise InputError(
            f"{_PLAN} of run {plan.name} is damaged: expected a configuration with "
            "data.init_args.source.init_args; restore the file, or start the crossvalidation again"
        )
    return plan


def _begin(arguments: Sequence[str], num_folds: int | None, jobs: int | None) -> int:
    experiment = build(arguments)
    config, count = _folded(experiment, num_folds)
    name = f"{experiment.config['run_name'] or run_name(experiment.config)}-cv{count}"
    tags = {"encoder": type(experiment.model.encoder).__name__, "folds": str(count)}
    tracker, folder = open_parent(experiment, name, config, tags, arguments)
    with folder.locked():
        plan = _Plan(folder.name, config, count)
        keep_plan(tracker, folder, _PLAN, plan._asdict())
        tracker.log_artifact(folder.config)
        return _run(tracker, plan, jobs, is_resumed=False)


def _folded(experiment: Experiment, num_folds: int | None) -> tuple[dict[str, Any], int]:
    """Returns a configuration whose data source has an argument `fold`, and the number of folds."""
    config = json.loads(json.dumps(experiment.config))
    data = experiment.data
    if not isinstance(data, HasFolds):
        raise InputError(
            f"{type(data).__name__} cannot be cross-validated; a datamodule that implements "
            "pipeline.contracts.HasFolds is expected, such as TaggingData or SentimentData"
        )
    if data.num_folds:
        if num_folds not in (None, data.num_folds):
            raise InputError(
                f"--folds {num_folds}: {experiment.data.name} defines {data.num_folds} folds; "
                "omit --folds"
            )
        return config, data.num_folds
    count = num_folds or _FOLDS
    settings = config["data"]["init_args"]
    settings["source"] = data.folded(settings["source"], count)
    return config, count


def _run_folds(parent: RunFolder, plan: _Plan, jobs: int, is_resumed: bool) -> list[Outcome]:
    """Trains all unfinished folds; returns the outcomes of failed ones."""
    folder = parent.path / "folds"
    folder.mkdir(exist_ok=True)
    trainings = [_training(folder, plan, fold) for fold in range(plan.num_folds)]
    return run_trainings(parent, trainings, jobs, "fold", shown_scores, is_resumed)


def _training(folder: Path, plan: _Plan, fold: int) -> ChildTraining:
    config = json.loads(json.dumps(plan.config))
    config["data"]["init_args"]["source"]["init_args"]["fold"] = fold
    config["run_name"] = f"{plan.name}-fold{fold}"
    file = folder / f"{fold}.yaml"
    write_atomically(file, yaml.safe_dump(config, sort_keys=False))
    return ChildTraining(fold, f"fold {fold}", [f"--config={file}"])
