"""Parent and child runs, e.g. a cross-validation and its folds."""

import os
from typing import NamedTuple

from pipeline.tracking.lookup import find_experiments, search_runs
from pipeline.tracking.store import NOTE_TAG, open_store, refusing

PARENT, FOLD = "UNROLL_PARENT_RUN", "UNROLL_FOLD"
"""Environment variables that make a training a child run."""
_MAX_DIGITS = 7
_PARENT_TAG, _FOLD_TAG = "mlflow.parentRunId", "fold"


class Child(NamedTuple):
    """A child run: its fold or number of the variant, status, and metrics `test/*`."""

    fold: int
    run_id: str
    status: str
    scores: dict[str, float]


def family_tags() -> dict[str, str]:
    """Returns the tags that mark this training as a child run, if it is one."""
    parent, fold = os.environ.get(PARENT), os.environ.get(FOLD)
    return {_PARENT_TAG: parent, _FOLD_TAG: fold} if parent and fold else {}


def configuration_of_parent() -> str | None:
    """Returns the parameter `config` of the parent run, if this training is a child run."""
    parent = os.environ.get(PARENT)
    if not parent:
        return None
    client = open_store()
    with refusing(client.tracking_uri):
        found: str | None = client.get_run(parent).data.params.get("config")
        return found


def parent_tags(parent: str) -> dict[str, str]:
    """Returns the tag that marks a run as continued from another run."""
    return {_PARENT_TAG: parent}


def discard(child: str) -> None:
    """Deletes a child run that is started again, since it was interrupted before a checkpoint."""
    client = open_store()
    with refusing(client.tracking_uri):
        client.delete_run(child)


def mark_pruned(child: str) -> None:
    """Gives a child run that was ended early the tag `pruned` and the status FINISHED."""
    client = open_store()
    with refusing(client.tracking_uri):
        note = client.get_run(child).data.tags.get(NOTE_TAG, "")
        if note:
            client.set_tag(child, NOTE_TAG, note.replace("(KILLED)", "(pruned)", 1))
        client.set_tag(child, "pruned", "true")
        client.set_terminated(child, "FINISHED")


def children(parent: str) -> list[Child]:
    """Returns the latest child run of each fold, ordered by fold."""
    client = open_store()
    with refusing(client.tracking_uri):
        experiments = [one.experiment_id for one in find_experiments(client, None)]
        runs = [*search_runs(client, experiments, f"tags.`{_PARENT_TAG}` = '{parent}'")]
    found = {}
    for run in reversed(runs):
        number = run.data.tags.get(_FOLD_TAG, "")
        if not (number.isascii() and number.isdigit() and len(number) < _MAX_DIGITS):
            continue  # a run that continues this one
        fold = int(number)
        scores = {k: v for k, v in run.data.metrics.items() if k.startswith("test/")}
        found[fold] = Child(fold, run.info.run_id, run.info.status, scores)
    return [found[fold] for fold in sorted(found)]
