"""`prepare`: download a corpus, or copy it from a folder, and verify it."""

import argparse
from pathlib import Path

from pipeline.cli.common import EntryPoint, Verbs, add_verb, require_no_fields
from pipeline.console import print_result


def add_options(verbs: Verbs) -> None:
    """Adds the verb and its options."""
    text = "Download a corpus, or copy it from a folder, and verify it."
    verb = add_verb(verbs, run, "prepare", text)
    verb.add_argument(
        "corpus",
        metavar="CORPUS",
        help="Name: ptb, wikitext2, conll2000, conll2003, mpqa, sst, mr or imdb.",
    )
    verb.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        type=Path,
        help="Folder to copy the files from (default: download them).",
    )
    verb.add_argument(
        "--to",
        metavar="DIR",
        type=Path,
        help="Folder of all corpora (default: $UNROLL_DATA, else data).",
    )


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Prepares the corpus and returns the exit code."""
    require_no_fields(options, fields)
    print_result(entry.prepare(options.corpus, options.source, options.to))
    return 0
