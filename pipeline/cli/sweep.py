"""`sweep`: search for good values of flags."""

import argparse
from typing import TYPE_CHECKING

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import DIRECTIONS, PRUNERS, SAMPLERS, TOP_LEVEL
from pipeline.preflight import check, find_configuration
from pipeline.tracking.reach import require_store

if TYPE_CHECKING:
    from pipeline.run.sweep.space import Space

_TRIALS, _MOST = 20, 100_000


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "sweep",
        "Search for the values of flags that give the best validation score.",
        "Each trial trains with other values, in a process and run of its own; a parent run holds "
        "table, figures and the best configuration, which is tested once. Fields of the "
        "configuration are flags for all trials. With --resume, interrupted trials continue and "
        "missing ones are added. Needs `pip install 'unroll[sweep]'`.",
    )
    common.add_config(verb, common.CONFIG_HELP)
    text = "Search space: YAML file with a list or range for each flag, or a name (sweeps/...)."
    common.add_option(verb, "--space FILE", text)
    common.add_option(verb, "--resume RUN", "Interrupted sweep to continue.")
    text = f"Number of trials (default {_TRIALS}; with the sampler grid at most all combinations)."
    common.add_option(verb, "--trials N", text, int)
    common.add_jobs(verb)
    text = "Method that chooses values: tpe, random or grid (default tpe)."
    common.add_option(verb, "--sampler NAME", text)
    text = (
        "Method that ends bad trials early: median, hyperband or none (default with tpe: median)."
    )
    common.add_option(verb, "--pruner NAME", text)
    text = "Validation score to optimize (default: the one that selects the best checkpoint)."
    common.add_option(verb, "--metric NAME", text)
    text = "Direction of another --metric: min or max."
    common.add_option(verb, "--direction NAME", text)
    text = "Database of the trials, such as postgresql+psycopg://user@host/db (default: a file)."
    common.add_option(verb, "--storage URL", text)
    common.add_trust(verb)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, runs the trials, and returns the exit code."""
    common.require_at_least(1, options, "trials", "jobs")
    for name, known in (
        ("sampler", SAMPLERS),
        ("pruner", PRUNERS),
        ("direction", DIRECTIONS),
    ):
        value = getattr(options, name)
        if value is not None and value not in known:
            raise InputError(f"--{name} {value}: expected one of {', '.join(known)}")
    if options.trials is not None and options.trials > _MOST:
        raise InputError(f"--trials {options.trials}: at most {_MOST:,} are possible")
    space = checked_space(options, fields, entry)
    if options.resume is not None:
        _refuse_changes(options, fields)
    _check_study(options, space)
    require_store()
    entry.load()
    from pipeline.run.sweep.command import SweepRequest, resume_sweep, sweep

    if options.resume is not None:
        return resume_sweep(options.resume, space, options.trials, options.storage, options.jobs)
    assert space is not None
    sampler = options.sampler or "tpe"
    request = SweepRequest(
        arguments=[*(f"--config={path}" for path in options.config), *fields],
        space=space,
        sampler=sampler,
        pruner=options.pruner or ("median" if sampler == "tpe" else "none"),
        metric=options.metric,
        direction=options.direction,
        trials=options.trials or (None if sampler == "grid" else _TRIALS),
        storage=options.storage,
    )
    return sweep(request, options.jobs)


def checked_space(
    options: argparse.Namespace, fields: list[str], entry: common.EntryPoint
) -> "Space | None":
    """Returns the search space, checked with the configuration; None for a resumed sweep's own."""
    if options.space is None:
        if options.resume is None:
            raise InputError(
                "--space FILE is missing; --config lm/builtin-lstm --space sweeps/builtin-lstm "
                "works without a corpus"
            )
        return None
    from pipeline.run.sweep.space import assignments, read_space

    path = find_configuration(options.space)
    space = read_space(path)
    if options.resume is not None:
        return space
    arguments = common.configuration_arguments(options, fields, entry)
    for flags in assignments(space):
        try:
            check([*arguments, *flags], TOP_LEVEL, entry.short_names)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return space


def _check_study(options: argparse.Namespace, space: "Space | None") -> None:
    from pipeline.run.sweep.space import grid_of
    from pipeline.run.sweep.storage import check_storage
    from pipeline.run.sweep.study import require_optuna

    require_optuna()
    if options.sampler == "grid" and space is not None:
        grid_of(space)
    if options.storage is not None:
        check_storage(options.storage)


def _refuse_changes(options: argparse.Namespace, fields: list[str]) -> None:
    given = [f"--config {path}" for path in options.config] + fields
    for name in ("sampler", "pruner", "metric", "direction"):
        given += [f"--{name}"] * (getattr(options, name) is not None)
    if given:
        raise InputError(
            f"--resume continues the sweep with its own settings; leave {given[0]} out"
        )
