"""Reads n-best lists, and re-ranks them with a language model's scores."""

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from pipeline.errors import InputError, parsed_number, shortened
from pipeline.inference.scoring.sentence_files import InputLine, file_name, read_lines
from pipeline.text.units import BLANKS

FEATURE = "Unroll0="
"""Name of the language model's log-probability among the features of a hypothesis."""
_FIELDS = "expected ID ||| hypothesis, optionally followed by ||| features ||| score"
_WORDS = "expected ID and words with spaces between them, as in the first line"
_BAR = "|||"


class Hypothesis(NamedTuple):
    """A line of an n-best list."""

    list_id: str  # id of the list that the hypothesis belongs to
    line: InputLine  # line number, and the text of the hypothesis
    features: str = ""  # as written in the file
    score: float = 0.0
    rest: tuple[str, ...] = ()  # fields after the score, for example alignments


def read_nbest(source: str) -> Iterator[Hypothesis]:
    """Yields the hypotheses of n-best lists.

    Lines are `ID ||| hypothesis ||| features ||| score`, as of Moses, or `ID words`, as of Kaldi;
    the first line tells which. Raises `InputError` if the file cannot be read, a line is malformed,
    or the lines of a list are not adjacent.
    """
    seen: set[str] = set()
    current: str | None = None
    parse = None
    for line in read_lines(source):
        parse = parse or (_parse if _BAR in line.text else _parse_words)
        hypothesis = parse(line, source)
        if hypothesis.list_id != current:
            current = hypothesis.list_id
            if current in seen:
                raise InputError(
                    f"line {line.number} of {file_name(source)} belongs to the list "
                    f"{shortened(current)}, "
                    "which ended before; expected adjacent lines for each list, so sort the file"
                )
            seen.add(current)
        yield hypothesis


def rerank(
    scored: Iterable[tuple[Hypothesis, float]], weight: float, only_best: bool = False
) -> Iterator[str]:
    """Sorts each n-best list by score + weight * log-probability, in descending order.

    Args:
        scored: Hypotheses with their log-probabilities; the lines of a list are adjacent.
        weight: Weight of the log-probability; 0 keeps the scores as they are.
        only_best: Whether to yield only the first hypothesis of each list.

    Yields:
        Lines `ID ||| hypothesis ||| features ||| score` with the log-probability as the last
        feature and the sum as the score. Hypotheses with equal sums keep their order.

    Example:
        >>> first = Hypothesis("0", InputLine(1, "he go"), "LM= -1", 2.0)
        >>> second = Hypothesis("0", InputLine(2, "he goes"), "LM= -2", 1.5)
        >>> next(rerank([(first, -9.0), (second, -6.0)], weight=0.5))
        '0 ||| he goes ||| LM= -2 Unroll0= -6.000000 ||| -1.500000'
    """
    for _, group in groupby(scored, key=lambda pair: pair[0].list_id):
        rows = [
            (hypothesis.score + (weight * log_prob if weight else 0.0), hypothesis, log_prob)
            for hypothesis, log_prob in group
        ]
        rows.sort(key=itemgetter(0), reverse=True)  # stable in spite of `reverse`
        for total, hypothesis, log_prob in rows[:1] if only_best else rows:
            features = f"{hypothesis.features} {FEATURE} {log_prob:.6f}".lstrip()
            text = hypothesis.line.text
            yield " ||| ".join(
                (hypothesis.list_id, text, features, f"{total:.6f}", *hypothesis.rest)
            )


def _parse_words(line: InputLine, source: str) -> Hypothesis:
    list_id, _, text = line.text.strip(BLANKS).partition(" ")
    if not list_id or _BAR in text:
        where = f"line {line.number} of {file_name(source)}"
        what = "has no list ID" if not list_id else f"has {_BAR}"
        raise InputError(f"{where} {what}; {_WORDS}")
    return Hypothesis(list_id, InputLine(line.number, text.strip(BLANKS)))


def _parse(line: InputLine, source: str) -> Hypothesis:
    where = f"line {line.number} of {file_name(source)}"
    list_id, *fields = (field.strip() for field in line.text.split(_BAR))
    if len(fields) in (0, 2):
        raise InputError(f"{where} has {1 + len(fields)} fields separated by |||; {_FIELDS}")
    if not list_id:
        raise InputError(f"{where} has no list ID; {_FIELDS}")
    sentence = InputLine(line.number, fields[0])
    if len(fields) == 1:
        return Hypothesis(list_id, sentence)
    score = parsed_number(fields[2])
    if not math.isfinite(score):
        raise InputError(
            f"{where} has the score {shortened(fields[2])!r}, which is not a number; {_FIELDS}"
        )
    return Hypothesis(list_id, sentence, fields[1], score, tuple(fields[3:]))
