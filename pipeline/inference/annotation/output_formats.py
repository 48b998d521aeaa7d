"""Writes tagged and classified passages as JSON lines or as CoNLL columns."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.inference.annotation.sentence_splitting import Passage
from pipeline.text.tags import Span


class Tagged(NamedTuple):
    """A tagged sentence.

    Attributes:
        passage: The sentence.
        tags: One tag per token.
        spans: Labelled spans of tokens.
        confidences: Calibrated confidence of each span, in [0, 1].
    """

    passage: Passage
    tags: list[str]
    spans: list[Span]
    confidences: list[float]


class Classified(NamedTuple):
    """A classified text.

    Attributes:
        passage: The text.
        probabilities: Probability of each label, in the order of the labels.
        influences: Influence of each token on the most probable label, as defined in
            `ClassifyRequest`; empty if not requested.
    """

    passage: Passage
    probabilities: list[float]
    influences: list[float]

    @property
    def best(self) -> int:
        """Index of the most probable label."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)


def tagged_json(tagged: Tagged) -> str:
    """Returns a sentence as one JSON object; offsets are characters of the input file."""
    passage = tagged.passage
    spans = []
    for span, confidence in zip(tagged.spans, tagged.confidences, strict=True):
        first, last = passage.file_span(span.start, span.end)
        spans.append(
            {
                "label": span.label,
                "start": first,
                "end": last,
                "text": passage.text[slice(*span_in_text(passage, span))],
                "confidence": round(confidence, 4),
            }
        )
    row = {
        "source": passage.source,
        "line": passage.line,
        "start": passage.start,
        "end": passage.file_span(0, len(passage.tokens))[1]
        if passage.token_starts
        else passage.start + len(passage.text),
        "text": passage.text,
        "spans": spans,
    }
    return json.dumps(row, ensure_ascii=False)


def tagged_conll(tagged: Tagged) -> str:
    """Returns a sentence with a line per token: as in the text, its columns, gold tag and tag."""
    passage = tagged.passage
    # With the input format "tokens" a token may contain a TAB.
    tokens = [passage.text[t.start : t.end].replace("\t", " ") for t in passage.tokens]
    gold = (passage.gold,) if passage.gold else ()
    rows = zip(tokens, *passage.columns, *gold, tagged.tags, strict=True)
    return "".join("\t".join(row) + "\n" for row in rows)


def classified_json(classified: Classified, labels: Sequence[str]) -> str:
    """Returns a text as one JSON object; offsets are characters of the input file."""
    passage, probabilities = classified.passage, classified.probabilities
    row: dict[str, Any] = {
        "source": passage.source,
        "line": passage.line,
        "text": passage.text,
        "label": labels[classified.best],
        "probabilities": {
            label: round(value, 4) for label, value in zip(labels, probabilities, strict=True)
        },
    }
    if classified.influences:
        row["words"] = [
            {
                "text": passage.text[token.start : token.end],
                "start": passage.start + token.start,
                "end": passage.start + token.end,
                "influence": round(value, 4),
            }
            for token, value in zip(passage.tokens, classified.influences, strict=True)
        ]
    return json.dumps(row, ensure_ascii=False)


def span_in_text(passage: Passage, span: Span) -> tuple[int, int]:
    """Returns the character span of a token span in the text of the passage."""
    return passage.tokens[span.start].start, passage.tokens[span.end - 1].end
