"""Parent and child runs, e.g. a cross-validation and its folds."""

import os
from typing import NamedTuple

from pipeline.tracking.lookup import find_experiments, search_runs
from pipeline.tracking.store import NOTE_TAG, open_store, refusing

PARENT, NUMBER = "UNROLL_PARENT_RUN", "UNROLL_CHILD_NUMBER"
"""Environment variables that make a training a child run."""
_MAX_DIGITS = 10  # of the largest seed, 4294967295
_PARENT_TAG, _NUMBER_TAG = "mlflow.parentRunId", "fold"


class Child(NamedTuple):
    """A child run: its number (fold, seed, variant or trial), id, status and scores `test/*`."""

    number: int
    run_id: str
    status: str
    scores: dict[str, float]


def family_tags() -> dict[str, str]:
    """Returns the tags that mark this training as a child run, if it is one."""
    parent, number = os.environ.get(PARENT), os.environ.get(NUMBER)
    return {_PARENT_TAG: parent, _NUMBER_TAG: number} if parent and number else {}


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
    """Returns the latest child run of each number, in order."""
    client = open_store()
    with refusing(client.tracking_uri):
        experiments = [one.experiment_id for one in find_experiments(client, None)]
        runs = [*search_runs(client, experiments, f"tags.`{_PARENT_TAG}` = '{parent}'")]
    found = {}
    for run in reversed(runs):
        tag = run.data.tags.get(_NUMBER_TAG, "")
        if not (tag.isascii() and tag.isdigit() and len(tag) <= _MAX_DIGITS):
            continue  # a run that continues this one
        number = int(tag)
        scores = {k: v for k, v in run.data.metrics.items() if k.startswith("test/")}
        found[number] = Child(number, run.info.run_id, run.info.status, scores)
    return [found[number] for number in sorted(found)]
