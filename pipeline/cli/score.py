"""`score`: log-probabilities of sentences under a trained language model."""

import argparse
import math
from pathlib import Path

from pipeline.cli import common
from pipeline.console import check_output
from pipeline.errors import InputError
from pipeline.options import STANDARD_INPUT, ScoreRequest


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "score",
        "Compute the log-probability and perplexity of sentences under a language model.",
        "Reads one sentence per line, tokenized as the training text (an empty line is a sentence "
        "of <eos> alone). Writes one line per sentence: natural logarithm of its probability, "
        "number of tokens (with <eos>), number of unknown tokens, perplexity. Totals go to "
        "standard error.",
    )
    sources = verb.add_mutually_exclusive_group()
    common.add_model_source(sources)
    text = "ARPA file of an n-gram model, gzipped or not, with its own vocabulary."
    common.add_option(sources, "--arpa FILE", text, Path)
    common.add_trust(verb)
    text = "UTF-8 text file, gzipped or not (default: standard input)."
    common.add_option(verb, "--input FILE", text, default=STANDARD_INPUT, dest="source")
    common.add_option(verb, "--output FILE", "File to write (default: standard output).", Path)
    verb.add_argument(
        "--as", dest="style", choices=("tsv", "jsonl"), help="Format of the output (default tsv)."
    )
    text = "Write each token: line number, token, log-probability, known or unknown."
    common.add_option(verb, "--tokens", text)
    common.add_option(
        verb,
        "--stream",
        "Pass the recurrent state on from line to line, as `unroll test` does; by default "
        "each sentence starts with the initial state.",
    )
    common.add_option(verb, "--log10", "Write logarithms to base 10.")
    _add_nbest(verb.add_argument_group("n-best lists"))


def _add_nbest(group: "argparse._ArgumentGroup") -> None:
    common.add_option(
        group,
        "--nbest",
        "Read lines `ID ||| hypothesis [||| features ||| score]` or `ID words`. Write each list "
        "with the log-probability as last feature, sorted by score + weight * log-probability.",
    )
    text = "Weight of the log-probability (default 1)."
    common.add_option(group, "--weight W", text, float)
    common.add_option(group, "--best", "Write only the first hypothesis of each list.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, scores the text, and returns the exit code."""
    common.require_no_fields(options, fields)
    if options.arpa is None:
        common.require_model_source(options)
        _refuse_arpa(options.checkpoint)
    request = _request(options)
    check_output(options.output)
    entry.load()
    from pipeline.inference.scoring.score import score

    return score(options.run, options.checkpoint, options.output, request, options.arpa)


def _refuse_arpa(checkpoint: Path | None) -> None:
    if checkpoint is not None:
        from pipeline.ngrams.arpa_lines import is_arpa

        if is_arpa(checkpoint):
            raise InputError(f"{checkpoint} is an ARPA file; give it with --arpa {checkpoint}")


def _request(options: argparse.Namespace) -> ScoreRequest:
    if options.source != STANDARD_INPUT:
        common.require_file("--input", options.source)
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
