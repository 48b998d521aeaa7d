"""`predict`: tags or labels of text files, or predictions for the test split."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "predict",
        "Tag or classify text, or write the predictions for the test split.",
        "Without --input, flags such as --data.eval_bptt=1 change how the corpus is read.",
    )
    common.add_model_source(verb.add_mutually_exclusive_group())
    common.add_trust(verb)
    common.add_option(verb, "--output FILE", "File to write (default: standard output).", Path)
    _add_input(verb.add_argument_group("text for a tagger or a classifier"))


def _add_input(group: "argparse._ArgumentGroup") -> None:
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
    text = "Encoding of the text (default utf-8)."
    common.add_option(group, "--encoding NAME", text, default="utf-8")
    text = "File of the word vectors of training, if it has moved, to look up unseen words."
    common.add_option(group, "--vectors FILE", text, Path)
    group.add_argument(
        "--bfloat16",
        action="store_true",
        help="Multiply in bfloat16, on CPUs that do so in hardware: faster; a few tags in ten "
        "thousand differ; for taggers.",
    )
    group.add_argument(
        "--explain",
        choices=("leave-one-out", "attention"),
        help="Add the influence of each token on the predicted label; for classifiers.",
    )


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, predicts, and returns the exit code."""
    common.require_model_source(options)
    common.check_overrides(options, fields, entry)
    if options.input and fields:
        raise InputError(f"{fields[0]} cannot be combined with --input; leave it out")
    if options.bfloat16 and not options.input:
        raise InputError("--bfloat16 needs --input")
    if options.vectors is not None:
        if not options.input:
            raise InputError("--vectors needs --input; the test split has its vectors")
        common.require_file("--vectors", str(options.vectors))
    check_files(options.input, options.format)
    entry.load()
    if not options.input:
        from pipeline.run.evaluate import predict

        return predict(options.run, options.checkpoint, fields, options.output)
    from pipeline.inference.annotation import ClassifyRequest
    from pipeline.inference.annotation.predict import predict_texts

    request = ClassifyRequest(
        options.input,
        options.format,
        options.style,
        options.encoding,
        options.explain,
        options.vectors,
    )
    return predict_texts(options.run, options.checkpoint, request, options.output, options.bfloat16)


def check_files(sources: Sequence[str], form: str) -> None:
    """Raises `InputError` for a file that does not exist or is a table."""
    for source in sources:
        if source != STANDARD_INPUT:
            common.require_file("--input", source)
        if form == "sentences" and source.lower().endswith((".csv", ".tsv", ".jsonl")):
            raise InputError(
                f"--input {source} is a table; expected plain text with one text per line: write "
                "its column of texts to a file, with line breaks inside a text replaced by spaces"
            )
