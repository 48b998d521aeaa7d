"""`crossvalidate`: train and test on each fold of a corpus."""

import argparse

from pipeline.cli.common import (
    CONFIG_HELP,
    EntryPoint,
    Verbs,
    add_config,
    add_verb,
    configuration_arguments,
    require_at_least,
)
from pipeline.errors import InputError


def add_options(verbs: Verbs) -> None:
    """Adds the verb and its options."""
    verb = add_verb(
        verbs,
        run,
        "crossvalidate",
        "Train and test on each fold of a corpus.",
        "Each fold is a run; a parent run holds the summary. Fields of the configuration are "
        "flags, as in `unroll train`. With --resume, finished folds are kept and interrupted ones "
        "continue.",
    )
    add_config(verb, CONFIG_HELP)
    verb.add_argument("--resume", metavar="RUN", help="Interrupted parent run to continue.")
    verb.add_argument(
        "--folds",
        metavar="N",
        type=int,
        help="Number of folds, at least 3 (default 10), for a corpus without folds of its own.",
    )
    verb.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        help="Trainings at the same time (default: one per GPU, else per core).",
    )


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Checks the arguments, crossvalidates, and returns the exit code."""
    require_at_least(1, [("--jobs", options.jobs)])
    require_at_least(3, [("--folds", options.folds)])
    if options.resume is None:
        arguments = configuration_arguments(options, fields, entry)
    else:
        arguments = []
        _refuse_changes(options, fields)
    entry.load()
    from pipeline.run.crossvalidate import crossvalidate

    return crossvalidate(arguments, options.resume, options.folds, options.jobs)


def _refuse_changes(options: argparse.Namespace, fields: list[str]) -> None:
    given = [f"--config {path}" for path in options.config] + fields
    given += ["--folds"] * (options.folds is not None)
    if given:
        raise InputError(
            f"--resume continues the crossvalidation with its own settings; leave {given[0]} out"
        )
