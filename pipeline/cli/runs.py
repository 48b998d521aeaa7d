"""`runs`: a table of runs and their scores."""

import argparse

from pipeline.cli import common
from pipeline.console import print_note, print_result


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(verbs, run, "runs", "List runs and their scores, newest first.")
    text = "Experiment to list, such as lm/ptb (default: all)."
    common.add_option(verb, "--experiment NAME", text)
    common.add_option(verb, "--limit N", "Maximum number of runs (default 20).", int, 20)
    common.add_option(verb, "--json", "Print JSON instead of a table.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Prints the table and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_at_least(1, options, "limit")
    from pipeline.tracking.table import list_runs, render, to_json

    rows = list_runs(experiment=options.experiment, limit=options.limit + 1)
    shown = rows[: options.limit]
    print_result(to_json(shown) if options.json else render(shown).rstrip())
    if len(rows) > len(shown):
        print_note(
            f"showing the latest {options.limit} runs; change this with --limit or --experiment"
        )
    return 0
