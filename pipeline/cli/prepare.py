"""`prepare`: download a corpus, or copy it from a folder, and verify it."""

import argparse
from pathlib import Path

from pipeline.cli import common
from pipeline.console import print_result


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    text = "Download a corpus, or copy it from a folder, and verify it."
    verb = common.add_verb(verbs, run, "prepare", text)
    text = "Name: ptb, wikitext2, conll2000, conll2003, mpqa, sst, mr or imdb."
    verb.add_argument("corpus", metavar="CORPUS", help=text)
    text = "Folder to copy the files from (default: download them)."
    common.add_option(verb, "--from DIR", text, Path, dest="source")
    text = "Folder of all corpora (default: $UNROLL_DATA, else data)."
    common.add_option(verb, "--to DIR", text, Path)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Prepares the corpus and returns the exit code."""
    common.require_no_fields(options, fields)
    print_result(entry.prepare(options.corpus, options.source, options.to))
    return 0
