"""`parameters`: count the parameters of a model by part."""

import argparse

from pipeline.cli import common
from pipeline.console import print_result
from pipeline.errors import InputError


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "parameters",
        "Count the parameters of a model by part, with the formulas of the textbooks.",
        "Nothing is trained. With --config, the corpus is read, since the size of its vocabulary "
        "counts, and fields of the configuration are flags.",
    )
    group = verb.add_mutually_exclusive_group(required=True)
    common.add_config(group, common.CONFIG_HELP)
    common.add_model_source(group)
    common.add_trust(verb)
    common.add_option(verb, "--json", "Print JSON instead of a table.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, prints the counts, and returns the exit code."""
    if not options.config and fields:
        raise InputError(f"{fields[0]} cannot change a model that is trained; leave it out")
    arguments = common.configuration_arguments(options, fields, entry) if options.config else []
    entry.load()
    from pipeline.analysis.parameters import count_parameters, to_json, to_table
    from pipeline.run.evaluate import load_or_build

    parts = count_parameters(load_or_build(options.run, options.checkpoint, arguments))
    print_result(to_json(parts) if options.json else to_table(parts))
    return 0
