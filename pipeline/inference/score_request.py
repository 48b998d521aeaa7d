"""What is to be scored, checked before anything heavy is imported."""

import argparse
import math
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InputError

STANDARD_INPUT = "-"
STYLES = ("tsv", "jsonl")


class Request(NamedTuple):
    """The options of `unroll score`.

    Attributes:
        source: a file, or "-" for standard input.
        style: one of `STYLES`.
        tokens: write each token's log-probability, not the sentences' alone.
        stream: the memory is carried from sentence to sentence.
        log10: write logarithms to the base 10, not natural ones.
        nbest: the lines are those of n-best lists.
        weight: what the log-probability is multiplied by before it is added to a score.
        best: write the first hypothesis of each list alone.
    """

    source: str
    style: str
    tokens: bool
    stream: bool
    log10: bool
    nbest: bool
    weight: float
    best: bool

    @classmethod
    def checked(cls, options: argparse.Namespace) -> "Request":
        """Takes the options of `score`.

        Raises:
            InputError: a file is missing, a value is out of its range, or flags exclude each other.
        """
        _check_source(options.source)
        if options.weight is not None and not math.isfinite(options.weight):
            raise InputError(f"--weight must be a finite number, got {options.weight}")
        if options.nbest:
            given = {"--tokens": options.tokens, "--stream": options.stream, "--as": options.style}
            _refuse(given, "cannot be given beside --nbest, which writes n-best lists")
        else:
            given = {"--weight": options.weight is not None, "--best": options.best}
            _refuse(given, "needs --nbest, as it is about n-best lists")
        return cls(
            source=options.source,
            style=options.style or "tsv",
            tokens=options.tokens,
            stream=options.stream,
            log10=options.log10,
            nbest=options.nbest,
            weight=1.0 if options.weight is None else options.weight,
            best=options.best,
        )


def _refuse(flags: dict[str, object], why: str) -> None:
    for flag, is_given in flags.items():
        if is_given:
            raise InputError(f"{flag} {why}; leave it out")


def _check_source(source: str) -> None:
    if source == STANDARD_INPUT:
        return
    if Path(source).is_dir():
        raise InputError(f"--input {source} is a folder; a text file is expected")
    if not Path(source).exists():
        raise InputError(f"--input {source}: there is no such file")
