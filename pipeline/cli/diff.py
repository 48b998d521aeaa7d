"""`diff`: what differs between two runs."""

import argparse

from pipeline.cli import common
from pipeline.console import print_result
from pipeline.errors import InputError


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "diff",
        "Show the parameters and scores that differ between two runs.",
        "If both runs stored scores per test item (span counts of sentences, right and wrong "
        "texts, losses of blocks of 50 tokens), the difference of the main score is tested by a "
        "paired permutation test, with a confidence interval from a paired bootstrap.",
    )
    text = "Id of a run, the beginning of the id, or the name of a run."
    verb.add_argument("runs", metavar="RUN", nargs=2, help=text)
    common.add_option(verb, "--json", "Print JSON.")
    common.add_option(verb, "--markdown", "Print Markdown tables.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Prints the differences and returns the exit code."""
    common.require_no_fields(options, fields)
    if options.json and options.markdown:
        raise InputError("--json cannot be combined with --markdown; leave one of them out")
    from pipeline.reports.comparison import compare
    from pipeline.tracking.table import select_runs

    found = compare(select_runs(options.runs))
    print_result((found.to_json() if options.json else found.text(options.markdown)).rstrip())
    return 0
