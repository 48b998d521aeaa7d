"""`report`: one page that compares runs."""

import argparse
from pathlib import Path

from pipeline.cli import common
from pipeline.console import check_output, open_output, print_note


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "report",
        "Write a page that compares runs: curves, scores over seeds, errors and commands.",
        "The HTML page is one file without scripts and external resources. Runs that differ only "
        "in the seed are summarized by mean and standard deviation.",
    )
    text = "Id of a run, the beginning of the id, the name of a run, several of these separated "
    text += "by commas, or a search of MLflow."
    verb.add_argument("runs", metavar="RUN", nargs="+", help=text)
    text = "File to write (default: report.html; with --markdown, standard output)."
    common.add_option(verb, "--output FILE", text, Path)
    text = "Metric to show as a score and as a curve. Can be repeated."
    verb.add_argument("--metric", metavar="NAME", action="append", default=[], help=text)
    common.add_option(verb, "--markdown", "Write Markdown, without curves.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Writes the page and returns the exit code."""
    common.require_no_fields(options, fields)
    output = options.output or (None if options.markdown else Path("report.html"))
    check_output(output)
    from pipeline.reports.comparison import collect, html_page, markdown_page
    from pipeline.tracking.table import select_runs

    evidence = collect(select_runs(options.runs), options.metric)
    text = markdown_page(evidence) if options.markdown else html_page(evidence)
    with open_output(output) as file:
        file.write(text)
    if output is not None:
        print_note(f"report: {output}")
    return 0
