"""Tagged sentences for a person, for programs, and as columns."""

import json
from collections.abc import Callable
from typing import NamedTuple

from pipeline.inference.text_files import Passage
from pipeline.text.tags import Span

_COLOURS = (33, 36, 35, 32, 34, 31)  # of a terminal: yellow, cyan, magenta, green, blue, red


class Tagged(NamedTuple):
    """A sentence that was tagged.

    Attributes:
        passage: the sentence.
        tags: one per token.
        spans: of tokens.
        confidences: of each span, calibrated, in [0, 1].
    """

    passage: Passage
    tags: list[str]
    spans: list[Span]
    confidences: list[float]


def to_text(tagged: Tagged, colours: dict[str, int] | None = None) -> str:
    """Marks spans in the sentence: in brackets, or coloured where `colours` gives each label one.

    Args:
        tagged: the sentence.
        colours: label -> a colour of the terminal; labels that are new are added.
    """
    text, pieces, done = tagged.passage.text, [], 0
    for span, confidence in zip(tagged.spans, tagged.confidences, strict=True):
        start, end = _place(tagged.passage, span)
        inside = f"{text[start:end]}"
        if colours is None:
            marked = f"[{span.label} {inside} {confidence:.2f}]"
        else:
            code = colours.setdefault(span.label, _COLOURS[len(colours) % len(_COLOURS)])
            marked = f"\x1b[1;{code}m{inside}\x1b[0m\x1b[2m[{span.label} {confidence:.2f}]\x1b[0m"
        pieces += [text[done:start], marked]
        done = end
    return "".join([*pieces, text[done:]])


def to_json(tagged: Tagged) -> str:
    """Writes one JSON object; places are in characters of the file."""
    passage = tagged.passage
    spans = []
    for span, confidence in zip(tagged.spans, tagged.confidences, strict=True):
        start, end = _place(passage, span)
        first, last = passage.place(span.start, span.end)
        spans.append(
            {
                "label": span.label,
                "start": first,
                "end": last,
                "text": passage.text[start:end],
                "confidence": round(confidence, 4),
            }
        )
    row = {
        "source": passage.source,
        "line": passage.line,
        "start": passage.start,
        "end": passage.place(0, len(passage.tokens))[1]
        if passage.places
        else passage.start + len(passage.text),
        "text": passage.text,
        "spans": spans,
    }
    return json.dumps(row, ensure_ascii=False)


def to_conll(tagged: Tagged) -> str:
    """Writes a token a line with its columns and its tag, TAB between them, and an empty line."""
    # Where tokens were given with spaces between them, one may hold a TAB.
    tokens = [token.text.replace("\t", " ") for token in tagged.passage.tokens]
    rows = zip(tokens, *tagged.passage.columns, tagged.tags, strict=True)
    return "".join("\t".join(row) + "\n" for row in rows)


def _place(passage: Passage, span: Span) -> tuple[int, int]:
    return passage.tokens[span.start].start, passage.tokens[span.end - 1].end


STYLES: dict[str, Callable[[Tagged], str]] = {
    "text": to_text,
    "jsonl": to_json,
    "conll": to_conll,
}
"""How tagged sentences are written."""
