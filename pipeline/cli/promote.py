"""`promote`: makes a version of a registered model the champion."""

import argparse

from pipeline.cli import common
from pipeline.console import print_result
from pipeline.errors import InputError


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "promote",
        "Make a version of a registered model its champion.",
        "Moves the alias champion of the registered model NAME to the challenger, which is the "
        "model that `unroll train --register NAME` trained last. The model can then be named "
        "models:/NAME@champion wherever a command takes a RUN.",
    )
    verb.add_argument("name", metavar="NAME", help="Name of the registered model.")
    text = "Version to promote (default: the challenger)."
    common.add_option(verb, "--version N", text, int)
    text = "Run whose model to promote; it is registered if it is not yet."
    common.add_option(verb, "--run RUN", text)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Moves the alias, prints the new and the old champion, and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_at_least(1, options, "version")
    if options.version is not None and options.run is not None:
        raise InputError("--version cannot be combined with --run; leave one of them out")
    from pipeline.tracking.registry import promote

    done = promote(options.name, options.version, options.run)
    before = f", before it was version {done.before}" if done.before else ""
    print_result(
        f"models:/{options.name}@champion is version {done.version} of run {done.run_id}{before}"
    )
    return 0
