"""Formats tagged and classified passages as text to be read, with colors in a terminal."""

import os
import re
from collections.abc import Sequence
from typing import TextIO

from pipeline.console import printable
from pipeline.inference.annotation.output_formats import Classified, Tagged, span_in_text

_RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = 31, 32, 33, 34, 35, 36  # ANSI color codes
_LABEL_COLORS = (_YELLOW, _CYAN, _MAGENTA, _GREEN, _BLUE, _RED)
_LINE_END = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")


def has_colors(file: TextIO) -> bool:
    """Whether a file is a terminal, and the environment variable NO_COLOR is not set."""
    return file.isatty() and "NO_COLOR" not in os.environ


def default_format(file: TextIO) -> str:
    """Returns the output format for a file: "text" for a terminal, otherwise "jsonl"."""
    return "text" if file.isatty() else "jsonl"


def tagged_text(tagged: Tagged, colors: dict[str, int] | None = None) -> str:
    """Returns a sentence whose spans are marked with color or, without colors, with brackets.

    `colors` are ANSI color codes by label; new labels are added.
    """
    text, pieces, done = tagged.passage.text, [], 0
    for span, confidence in zip(tagged.spans, tagged.confidences, strict=True):
        start, end = span_in_text(tagged.passage, span)
        words, label = printable(text[start:end]), printable(span.label)
        if colors is None:
            marked = f"[{label} {words} {confidence:.2f}]"
        else:
            code = colors.setdefault(span.label, _LABEL_COLORS[len(colors) % len(_LABEL_COLORS)])
            marked = f"{_bold(words, code)}\x1b[2m[{label} {confidence:.2f}]\x1b[0m"
        pieces += [printable(text[done:start]), marked]
        done = end
    return "".join([*pieces, printable(text[done:])])


def classified_text(classified: Classified, labels: Sequence[str], has_colors: bool = False) -> str:
    """Returns a line with the most probable label, its probability and the text.

    If the influences of tokens are known, influential words are green if they support the label and
    red if they oppose it; without colors they are written as `+word+` and `-word-`.
    """
    width = max(len(label) for label in labels)
    label, probability = labels[classified.best], classified.probabilities[classified.best]
    text = _influential_words(classified, has_colors)
    return f"{printable(label):<{width}}  {probability:.2f}  {text}"


def _influential_words(classified: Classified, has_colors: bool) -> str:
    text = _LINE_END.sub(" ", classified.passage.text)  # keeps the offsets
    if not classified.influences:
        return printable(text)
    strongest = max(abs(value) for value in classified.influences)
    pieces, done = [], 0
    for token, value in zip(classified.passage.tokens, classified.influences, strict=True):
        if abs(value) < strongest / 3 or not strongest:
            continue
        word = printable(text[token.start : token.end])
        if has_colors:
            word = _bold(word, _GREEN if value > 0 else _RED)
        else:
            sign = "+" if value > 0 else "-"
            word = f"{sign}{word}{sign}"
        pieces += [printable(text[done : token.start]), word]
        done = token.end
    return "".join([*pieces, printable(text[done:])])


def _bold(text: str, color: int) -> str:
    return f"\x1b[1;{color}m{text}\x1b[0m"
