"""`train` and `fit`: train a model in one run."""

import argparse

from pipeline.cli.common import (
    EntryPoint,
    Verbs,
    add_config,
    add_verb,
    configuration_arguments,
)
from pipeline.errors import InputError
from pipeline.options import TOP_LEVEL, resumable
from pipeline.preflight import check

_DETAILS = (
    "Any field of a configuration is a flag: --trainer.max_epochs=3, --model.encoder=GRU, "
    "--model.encoder.hidden_size=650, --data.batch_size=10. Later files and flags override earlier "
    "ones; --print_config shows the result. Besides trainer, data and model there are "
    "--seed_everything (default 1), --precision (default auto), --run_name, --experiment (default "
    "<task>/<corpus>) and --checkpoint_every (default 200 updates)."
)
_RESUMABLE = ("--trainer.", "--checkpoint_every")


def add_options(verbs: Verbs) -> None:
    """Adds the verbs and their options."""
    for name, summary in (
        ("train", "Train a model, then test its best checkpoint, in one run."),
        ("fit", "Train a model without testing it."),
    ):
        verb = add_verb(verbs, run, name, summary, _DETAILS)
        add_config(verb, "Configuration file. If given several times, later files override.")
        verb.add_argument("--resume", metavar="RUN", help="Interrupted run to continue.")


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Checks the arguments, trains, and returns the exit code."""
    if options.resume is None:
        arguments = configuration_arguments(options, fields)
    else:
        arguments = _resume_arguments(options, fields)
    entry.load()
    from pipeline.run.train import train

    return train(arguments, resume=options.resume, and_test=options.verb == "train")


def _resume_arguments(options: argparse.Namespace, fields: list[str]) -> list[str]:
    if options.config:
        raise InputError("--resume continues with the run's own configuration; leave --config out")
    for field in fields:
        if field.startswith("--") and not field.startswith(_RESUMABLE):
            raise InputError(
                f"{field} cannot change when a run is resumed (only --trainer.* and "
                "--checkpoint_every can); to change it, start a new run"
            )
    arguments = [f"--config={resumable(options.resume).config}", *fields]
    check(arguments, TOP_LEVEL)
    return arguments
