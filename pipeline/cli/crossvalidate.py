"""`crossvalidate`: train and test on each fold of a corpus."""

import argparse

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.tracking.reach import require_store


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "crossvalidate",
        "Train and test on each fold of a corpus.",
        "Each fold is a run; a parent run holds the summary. Fields of the configuration are "
        "flags, as in `unroll train`. With --resume, finished folds are kept and interrupted ones "
        "continue.",
    )
    common.add_config(verb, common.CONFIG_HELP)
    common.add_option(verb, "--resume RUN", "Interrupted parent run to continue.")
    common.add_trust(verb)
    text = "Number of folds, at least 3 (default 10), for a corpus without folds of its own."
    common.add_option(verb, "--folds N", text, int)
    common.add_jobs(verb)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, crossvalidates, and returns the exit code."""
    common.require_at_least(1, options, "jobs")
    common.require_at_least(3, options, "folds")
    if options.resume is None:
        arguments = common.configuration_arguments(options, fields, entry)
    else:
        arguments = []
        _refuse_changes(options, fields)
    require_store()
    entry.load()
    from pipeline.run.groups.crossvalidate import crossvalidate

    return crossvalidate(arguments, options.resume, options.folds, options.jobs)


def _refuse_changes(options: argparse.Namespace, fields: list[str]) -> None:
    given = [f"--config {path}" for path in options.config] + fields
    given += ["--folds"] * (options.folds is not None)
    if given:
        raise InputError(
            f"--resume continues the crossvalidation with its own settings; leave {given[0]} out"
        )
