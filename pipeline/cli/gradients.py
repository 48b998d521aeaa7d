"""`gradients`: show how far gradients reach back in a recurrent model."""

import argparse
from pathlib import Path

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import GradientRequest


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "gradients",
        "Show how far gradients reach back through the recurrent layers of a model.",
        "Writes figures as PNG and their numbers as JSON and CSV, and prints a short table. With "
        "--run, the files also become artifacts of the run. The callback "
        "GradientMonitor does the same during training.",
    )
    common.add_model_source(verb.add_mutually_exclusive_group())
    common.add_trust(verb)
    common.add_config(
        verb,
        "Configuration file of an untrained model; its fields are flags, as in `unroll train`. "
        "Can be repeated: later files override earlier ones.",
    )
    verb.add_argument(
        "--split",
        choices=("train", "valid", "test"),
        default="valid",
        help="Split to analyze (default valid).",
    )
    common.add_option(verb, "--rows N", "Number of rows to average over (default 4).", int, 4)
    common.add_option(verb, "--lags N", "Number of steps to go back (default 50).", int, 50)
    text = "Folder for the files (default: the folder of the run, else gradients)."
    common.add_option(verb, "--output DIR", text, Path)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, analyzes the gradients, and returns the exit code."""
    request = _request(options)
    if options.config:
        fields = common.configuration_arguments(options, fields, entry)
    else:
        common.require_model_source(options)
        common.check_overrides(options, fields, entry)
    entry.load()
    from pipeline.run.gradients import gradients

    return gradients(options.run, options.checkpoint, fields, request)


def _request(options: argparse.Namespace) -> GradientRequest:
    common.require_at_least(1, options, "rows", "lags")
    is_trained = options.run is not None or options.checkpoint is not None
    if is_trained and options.config:
        raise InputError("--config is for a model that is not trained yet; leave it out")
    if not is_trained and not options.config:
        raise InputError("which model? give --run RUN, --checkpoint FILE or --config FILE")
    if options.output is not None and options.output.is_file():
        raise InputError(f"--output {options.output} is a file; give a folder")
    return GradientRequest(
        bool(options.config), options.split, options.rows, options.lags, options.output
    )
