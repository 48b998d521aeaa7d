"""`runs`: a table of runs and their scores."""

import argparse

from pipeline.cli import common
from pipeline.console import print_note, print_result
from pipeline.errors import InputError

_EPILOG = """
columns: run, name, experiment, status, started, took, metric (name of the main score), val (its
best validation value), test, group, and any metric, parameter or tag, such as test/f1,
model.encoder.hidden_size, tags.corpus.

examples:
  unroll runs --filter "metrics.`test/perplexity` < 100" --sort test
  unroll runs --group seed --experiment lm/ptb
  unroll runs --columns name,model.encoder.hidden_size,test --markdown
"""


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "runs",
        "List runs and their scores, newest first.",
        "Children are listed below their parents. The columns are those in which the listed runs "
        "can be compared; parameters appear if their values differ.",
        _EPILOG,
    )
    text = "Experiment to list, such as lm/ptb (default: all)."
    common.add_option(verb, "--experiment NAME", text)
    common.add_option(verb, "--filter SEARCH", "Search in the syntax of MLflow.")
    common.add_option(verb, "--sort COLUMN", 'Column to sort by, such as test or "test/f1 desc".')
    common.add_option(verb, "--columns NAMES", "Columns to show, separated by commas.")
    verb.add_argument(
        "--group",
        choices=["seed"],
        help="Show mean and standard deviation over runs that differ only in the seed.",
    )
    text = "Maximum number of runs without children, or of groups (default 20)."
    common.add_option(verb, "--limit N", text, int, 20)
    common.add_option(verb, "--json", "Print JSON with all metrics and parameters.")
    common.add_option(verb, "--markdown", "Print a Markdown table.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Prints the table and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_at_least(1, options, "limit")
    if options.json and (options.markdown or options.columns):
        other = "--markdown" if options.markdown else "--columns"
        raise InputError(f"--json cannot be combined with {other}; leave one of them out")
    names = [name.strip() for name in (options.columns or "").split(",")]
    columns = [name for name in names if name] or None
    from pipeline.tracking import table

    limit = None if options.group else options.limit
    query = table.Query(options.experiment, options.filter, options.sort, limit)
    rows, left_out = table.list_runs(query)
    if options.group:
        groups = table.group_by_seed(rows)
        left_out, groups = len(groups[options.limit :]), groups[: options.limit]
        text = (
            table.groups_to_json(groups)
            if options.json
            else table.group_table(groups, columns, options.markdown)
        )
    else:
        text = (
            table.runs_to_json(rows)
            if options.json
            else table.run_table(rows, columns, options.markdown)
        )
    print_result(text.rstrip())
    if left_out:
        kind = "groups" if options.group else "runs"
        print_note(f"showing {options.limit} of {options.limit + left_out} {kind}; raise --limit")
    return 0
