"""`score`: log-probabilities of sentences under a trained language model."""

import argparse
import math
from pathlib import Path

from pipeline.cli.common import (
    EntryPoint,
    Verbs,
    add_model_source,
    add_verb,
    require_model_source,
    require_no_fields,
)
from pipeline.console import check_output
from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT, ScoreRequest


def add_options(verbs: Verbs) -> None:
    """Adds the verb and its options."""
    verb = add_verb(
        verbs,
        run,
        "score",
        "Compute the log-probability and perplexity of sentences under a language model.",
        "Reads one sentence per line, tokenized as the training text (an empty line is a sentence "
        "of <eos> alone). Writes one line per sentence: natural logarithm of its probability, "
        "number of tokens (with <eos>), number of unknown tokens, perplexity. Totals go to "
        "standard error.",
    )
    add_model_source(verb.add_mutually_exclusive_group())
    verb.add_argument(
        "--input",
        dest="source",
        metavar="FILE",
        default=STANDARD_INPUT,
        help="UTF-8 text file, gzipped or not (default: standard input).",
    )
    verb.add_argument(
        "--output", metavar="FILE", type=Path, help="File to write (default: standard output)."
    )
    verb.add_argument(
        "--as", dest="style", choices=("tsv", "jsonl"), help="Format of the output (default tsv)."
    )
    verb.add_argument(
        "--tokens",
        action="store_true",
        help="Write each token: line number, token, log-probability, known or unknown.",
    )
    verb.add_argument(
        "--stream",
        action="store_true",
        help="Pass the recurrent state on from line to line, as `unroll test` does; by default "
        "each sentence starts with the initial state.",
    )
    verb.add_argument("--log10", action="store_true", help="Write logarithms to base 10.")
    group = verb.add_argument_group("n-best lists")
    group.add_argument(
        "--nbest",
        action="store_true",
        help="Read lines `ID ||| hypothesis [||| features ||| score]`. Write each list with the "
        "log-probability as last feature, sorted by score + weight * log-probability.",
    )
    group.add_argument(
        "--weight", metavar="W", type=float, help="Weight of the log-probability (default 1)."
    )
    group.add_argument(
        "--best", action="store_true", help="Write only the first hypothesis of each list."
    )


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Checks the arguments, scores the text, and returns the exit code."""
    require_no_fields(options, fields)
    require_model_source(options)
    request = _request(options)
    check_output(options.output)
    entry.load()
    from pipeline.inference.scoring.score import score

    return score(options.run, options.checkpoint, options.output, request)


def _request(options: argparse.Namespace) -> ScoreRequest:
    _check_source(options.source)
    if options.weight is not None and not math.isfinite(options.weight):
        raise InputError(f"--weight must be a finite number, got {options.weight}")
    if options.nbest:
        given = {"--tokens": options.tokens, "--stream": options.stream, "--as": options.style}
        reason = "cannot be combined with --nbest, which writes n-best lists"
    else:
        given = {"--weight": options.weight is not None, "--best": options.best}
        reason = "applies to n-best lists and needs --nbest"
    for flag, is_given in given.items():
        if is_given:
            raise InputError(f"{flag} {reason}; leave it out")
    return ScoreRequest(
        source=options.source,
        style=options.style or "tsv",
        tokens=options.tokens,
        stream=options.stream,
        log10=options.log10,
        nbest=options.nbest,
        weight=1.0 if options.weight is None else options.weight,
        best=options.best,
    )


def _check_source(source: str) -> None:
    if source == STANDARD_INPUT:
        return
    if Path(source).is_dir():
        raise InputError(f"--input {source} is a folder; expected a text file")
    if not Path(source).exists():
        raise InputError(f"--input {source}: there is no such file")
