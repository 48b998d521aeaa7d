"""`export`: write an n-gram model in the ARPA format."""

import argparse
from pathlib import Path
from typing import cast

from pipeline.cli import common
from pipeline.console import check_output, print_result
from pipeline.errors import InputError


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    text = "Write an n-gram model in the ARPA format, which KenLM and SRILM read."
    verb = common.add_verb(verbs, run, "export", text)
    common.add_model_source(verb.add_mutually_exclusive_group())
    common.add_trust(verb)
    verb.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help="File to write, whose name ends in .arpa or, compressed, in .arpa.gz.",
    )


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, writes the file, and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_model_source(options)
    _check_output(options.output)
    entry.load()
    from pipeline.checkpoints.locate import locate
    from pipeline.checkpoints.read import load_trained
    from pipeline.contracts import NgramTables
    from pipeline.ngrams import write_arpa

    path = locate(options.run, options.checkpoint)
    model = cast(NgramTables, load_trained(path, NgramTables, "an n-gram language model").model)
    write_arpa(options.output, model.ngrams, model.vocabulary)
    print_result(str(options.output))
    return 0


def _check_output(output: Path) -> None:
    if not output.name.endswith((".arpa", ".arpa.gz")):
        raise InputError(
            f"--output {output}: expected a name that ends in .arpa or, compressed, in .arpa.gz"
        )
    check_output(output)
