"""`predict`: tags or labels of text files, or predictions for the test split."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.common import (
    EntryPoint,
    Verbs,
    add_model_source,
    add_verb,
    check_overrides,
    require_model_source,
)
from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT


def add_options(verbs: Verbs) -> None:
    """Adds the verb and its options."""
    verb = add_verb(
        verbs,
        run,
        "predict",
        "Tag or classify text, or write the predictions for the test split.",
        "Without --input, flags such as --data.eval_bptt=1 change how the corpus is read.",
    )
    add_model_source(verb.add_mutually_exclusive_group())
    verb.add_argument(
        "--output", metavar="FILE", type=Path, help="File to write (default: standard output)."
    )
    group = verb.add_argument_group("text for a tagger or a classifier")
    group.add_argument(
        "--input",
        metavar="FILE",
        action="append",
        default=[],
        help="Text file, or - for standard input; can be repeated (default: the test split).",
    )
    group.add_argument(
        "--format",
        choices=("sentences", "documents", "tokens", "columns"),
        default="sentences",
        help="Layout of the text (default sentences). For a tagger: one sentence per line; "
        "paragraphs; one sentence per line with one space between tokens; one token per line "
        "with its feature columns. For a classifier: one text per line; one text per file; one "
        "text per line with one space between tokens.",
    )
    group.add_argument(
        "--as",
        dest="style",
        choices=("text", "jsonl", "conll"),
        help="Format of the output (default: text on a terminal, else jsonl).",
    )
    group.add_argument(
        "--encoding", metavar="NAME", default="utf-8", help="Encoding of the text (default utf-8)."
    )
    group.add_argument(
        "--explain",
        choices=("leave-one-out", "attention"),
        help="Add the influence of each token on the predicted label; for classifiers.",
    )


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Checks the arguments, predicts, and returns the exit code."""
    require_model_source(options)
    check_overrides(options, fields, entry)
    if options.input and fields:
        raise InputError(f"{fields[0]} cannot be combined with --input; leave it out")
    check_files(options.input, options.format)
    entry.load()
    if not options.input:
        from pipeline.run.evaluate import predict

        return predict(options.run, options.checkpoint, fields, options.output)
    from pipeline.inference.annotation import ClassifyRequest
    from pipeline.inference.annotation.predict import predict_texts

    request = ClassifyRequest(
        options.input, options.format, options.style, options.encoding, options.explain
    )
    return predict_texts(options.run, options.checkpoint, request, options.output)


def check_files(sources: Sequence[str], form: str) -> None:
    """Raises `InputError` for a file that does not exist or is a table."""
    for source in sources:
        path = Path(source)
        if source != STANDARD_INPUT and not path.exists():
            raise InputError(f"--input {source}: there is no such file")
        if path.is_dir():
            raise InputError(f"--input {source} is a folder; expected a file")
        if form == "sentences" and path.suffix.lower() in (".csv", ".tsv", ".jsonl"):
            raise InputError(
                f"--input {source} is a table; expected plain text with one text per line: write "
                "its column of texts to a file, with line breaks inside a text replaced by spaces"
            )
