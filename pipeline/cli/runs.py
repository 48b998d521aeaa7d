"""`runs`: a table of runs and their scores."""

import argparse

from pipeline.cli.common import (
    EntryPoint,
    Verbs,
    add_verb,
    require_at_least,
    require_no_fields,
)
from pipeline.console import print_note, print_result


def add_options(verbs: Verbs) -> None:
    """Adds the verb and its options."""
    verb = add_verb(verbs, run, "runs", "List runs and their scores, newest first.")
    verb.add_argument(
        "--experiment", metavar="NAME", help="Experiment to list, such as lm/ptb (default: all)."
    )
    verb.add_argument(
        "--limit", metavar="N", type=int, default=20, help="Maximum number of runs (default 20)."
    )
    verb.add_argument("--json", action="store_true", help="Print JSON instead of a table.")


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Prints the table and returns the exit code."""
    require_no_fields(options, fields)
    require_at_least(1, [("--limit", options.limit)])
    from pipeline.tracking.table import list_runs, render, to_json

    rows = list_runs(experiment=options.experiment, limit=options.limit + 1)
    shown = rows[: options.limit]
    print_result(to_json(shown) if options.json else render(shown).rstrip())
    if len(rows) > len(shown):
        print_note(
            f"showing the latest {options.limit} runs; change this with --limit or --experiment"
        )
    return 0
