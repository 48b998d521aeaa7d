"""The plan of a sweep, which is stored in the folder of its parent run."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

from pipeline.checkpoints.folder import RunFolder
from pipeline.errors import InputError
from pipeline.run.groups.children import fields_of_plan, placed
from pipeline.run.groups.parents import read_plan
from pipeline.run.sweep.space import Space, parse_space, plain
from pipeline.run.sweep.study import SweepSettings
from pipeline.tracking.secrets import redact_address

PLAN, STUDY = "sweep.json", "study.db"
"""Names of the files with the plan, and with the trials unless another database is given."""


class Plan(NamedTuple):
    """A sweep, with everything that `--resume` needs."""

    name: str
    config: dict[str, Any]
    arguments: list[str]  # of all trials
    space: dict[str, Any]
    settings: dict[str, Any]
    trials: int
    storage: str  # without user and password; "" for the file in the folder


def read_sweep(resume: str) -> tuple[RunFolder, Plan]:
    """Returns the folder of a sweep, and its plan, which may be from someone else.

    Raises `InputError` if there is no such sweep, or a value of its plan is not what this module
    writes.
    """
    folder, kept = read_plan(resume, PLAN, "sweep", get_type_hints(Plan))
    plan, path = Plan(**kept), folder.path / PLAN
    try:
        parse_space(path, plan.space)
        SweepSettings.of(plan.settings)
    except (ValueError, TypeError) as error:  # InputError is a ValueError
        raise InputError(
            f"{path} is damaged ({error}); restore the file, or start the sweep again"
        ) from error
    flags = (f"--{flag}=" for flag in plan.space)
    fields_of_plan(folder, [*placed(folder.path, plan.arguments), *flags])
    return folder, plan


def refuse_changes(plan: Plan, space: Space | None, storage: str | None) -> None:
    """Raises `InputError` for a search space or database other than that of the sweep.

    A database other than the file in the folder must be named again: the plan may be from someone
    else, and its address is not connected to.
    """
    if space is not None and plain(space) != plan.space:
        raise InputError(
            f"--space differs from that of the sweep {plan.name} ({_changed(plan, space)}); leave "
            "--space out, or start a new sweep"
        )
    if storage is None and plan.storage:
        raise InputError(
            f"the trials of the sweep {plan.name} are in the database {plan.storage}; give its "
            "address again with --storage"
        )
    if storage is not None and redact_address(storage) != plan.storage:
        where = plan.storage or "a file in the folder of the run"
        raise InputError(
            f"--storage differs from that of the sweep {plan.name} ({where}); "
            + ("give that one" if plan.storage else "leave it out")
        )


def _changed(plan: Plan, space: Space) -> str:
    new, old = plain(space), plan.space
    changed: Sequence[str] = [flag for flag in {**old, **new} if old.get(flag) != new.get(flag)]
    return ", ".join(changed) or "the order of the flags"
