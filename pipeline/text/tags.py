"""Tags, one for each token, and the spans that they encode.

Inside the program, tags that encode spans are BIO (IOB2): "B-PER" begins a span, "I-PER" continues
it, "O" is outside. `detect_scheme` and `to_bio` read the other schemes of files. Tags that encode
no spans, such as parts of speech, are labels and are not changed (`are_labels`).
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias, TypeGuard, get_args

from seqeval.metrics.sequence_labeling import get_entities

from pipeline.errors import shortened

Scheme: TypeAlias = Literal["IOB1", "IOB2", "BIOES", "IO", "BIO without types"]

TagForm: TypeAlias = Scheme | Literal["labels"]
"""Scheme of the tags of a corpus; "labels" are not converted."""

DOCSTART = "-DOCSTART-"
"""First word of a line that begins a document in files with one token per line; not a token."""

_ALSO = {"L": "E", "U": "S", "M": "I", "W": "S"}  # names in BILOU, BMES and BMEWO
_PREFIXES = {"IOB1": "BIO", "IOB2": "BIO", "BIOES": "BIOES", "BIO without types": "BIO"}


class Span(NamedTuple):
    """A span of tokens."""

    label: str  # type of the span, such as "PER"
    start: int  # index of its first token
    end: int  # index after its last token


def is_tag_form(value: object) -> TypeGuard[TagForm]:
    """Returns whether a value is a scheme of tags, or "labels".

    Example:
        >>> is_tag_form("BIOES"), is_tag_form(["BIOES"])
        (True, False)
    """
    return isinstance(value, str) and value in ("labels", *get_args(Scheme))


def spans(tags: Sequence[str]) -> list[Span]:
    """Returns the spans from left to right: an I that does not continue a span begins one.

    This is the reading of conlleval and of `seqeval` in its default mode. `tags` are BIO tags.

    Example:
        >>> spans(["B-PER", "I-PER", "O", "I-LOC"])
        [Span(label='PER', start=0, end=2), Span(label='LOC', start=3, end=4)]
    """
    marked = [place for place, tag in enumerate(tags) if tag != "O"]
    if not marked:
        return []
    first, end = marked[0], marked[-1] + 1  # most tags are O, and seqeval is slow
    entities = get_entities(list(tags[first:end]))  # type: ignore[no-untyped-call]
    return [Span(label, first + start, first + last + 1) for label, start, last in entities]


def strict_spans(tags: Sequence[str]) -> list[Span]:
    """Returns the spans like the strict mode of `seqeval` for IOB2: only a B begins a span.

    Example:
        >>> strict_spans(["B-PER", "I-PER", "O", "I-LOC"])
        [Span(label='PER', start=0, end=2)]
    """
    return [span for span in spans(tags) if tags[span.start].startswith("B")]


def count_malformed(tags: Sequence[str]) -> int:
    """Returns the number of I tags that do not follow a B or I of their type.

    Example:
        >>> count_malformed(["B-PER", "I-PER", "I-LOC"])
        1
    """
    pairs = zip(("O", *tags), tags, strict=False)
    return sum(tag[0] == "I" and (left == "O" or left[1:] != tag[1:]) for left, tag in pairs)


def span_tags(spans: Iterable[Span], length: int) -> list[str]:
    """Returns the BIO tags of spans in a sentence of `length` tokens.

    Raises a `ValueError` if a span is empty, outside the sentence, or overlaps another.

    Example:
        >>> span_tags([Span("PER", 1, 3)], length=4)
        ['O', 'B-PER', 'I-PER', 'O']
    """
    tags = ["O"] * length
    for span in spans:
        label, start, end = span
        if not 0 <= start < end <= length:
            raise ValueError(f"{span} is empty or not inside a sentence of {length} tokens")
        if tags[start:end].count("O") < end - start:
            raise ValueError(f"{span} overlaps another span")
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return tags


def tag_set(types: Iterable[str]) -> tuple[str, ...]:
    """Returns all BIO tags of span types: "O", then B and I of each type in alphabetical order.

    Example:
        >>> tag_set(["PER", "LOC"])
        ('O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER')
    """
    return "O", *(f"{prefix}-{label}" for label in sorted(set(types)) for prefix in "BI")


def types_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Returns the distinct types of BIO tags in alphabetical order.

    Example:
        >>> types_of(["O", "B-PER", "I-PER", "B-LOC"])
        ('LOC', 'PER')
    """
    return tuple(sorted({tag[2:] for tag in tags if tag != "O"}))


def are_labels(tags: Iterable[str]) -> bool:
    """Returns whether tags are labels like "NN": not all are "O", or B or I with a type.

    Example:
        >>> are_labels(["DT", "NN"]), are_labels(["O", "B-PER"])
        (True, False)
    """
    return not all(tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2) for tag in tags)


@functools.lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """Splits a tag of a file: "B-PER", "B_PER" or, without a type, "B".

    Returns the prefix, one of B, I, O, E and S, and the type, "" if there is none. L, U, M and W of
    BILOU, BMES and BMEWO become E, S, I and S; lower-case prefixes become upper-case. Raises a
    `ValueError` if the tag does not belong to any scheme.

    Example:
        >>> split_tag("U-PER")
        ('S', 'PER')
    """
    prefix, separator, label = tag[:1].upper(), tag[1:2], tag[2:]
    prefix = _ALSO.get(prefix, prefix)
    is_bare = len(tag) == 1 and prefix in "BIOES"
    if not is_bare and not (prefix and prefix in "BIES" and separator in "-_" and label):
        raise ValueError(
            f"tag {shortened(tag)!r} does not belong to any scheme; expected O, or one of B, I, "
            "E, S, L, U, M and W, alone or with a type as in B-PER"
        )
    return prefix, label


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Detects the scheme of the tags of sentences.

    If E, S, L or U occurs, the scheme is BIOES. Otherwise it depends on the spans that do not
    directly follow a span of their type: IOB2 begins them with B, IOB1 with I. The majority
    decides, so that a file of IOB2 with a few malformed tags is still IOB2. Ties, and files without
    such spans, are IOB2. "BIO without types" is IOB2 whose tags are "B", "I" and "O". "IO" are
    types of letters without a prefix, if more than half of all tags are O. Raises a `ValueError` if
    a tag does not belong to any scheme.

    Example:
        >>> detect_scheme([["I-PER", "I-PER", "O", "I-LOC"]])
        'IOB1'
    """
    sentences = list(sentences)
    if _are_bare_types(Counter(itertools.chain.from_iterable(sentences))):
        return "IO"
    num_begun = num_inside = 0
    prefixes, labels = set(), set()
    for sentence in sentences:
        pairs = [split_tag(tag) for tag in sentence]
        for (left, left_label), (prefix, label) in itertools.pairwise([("O", ""), *pairs]):
            prefixes.add(prefix)
            labels.add(label)
            if left == "O" or left_label != label:
                num_begun += prefix == "B"
                num_inside += prefix == "I"
    if prefixes & {"E", "S"}:
        return "BIOES"
    if num_inside > num_begun:
        return "IOB1"
    return "BIO without types" if "B" in prefixes and labels == {""} else "IOB2"


def _are_bare_types(counts: Counter[str]) -> bool:
    """Returns whether most tags are O and all others are words, such as `LOC`, of no scheme."""
    if not 2 * counts["O"] > counts.total() > counts["O"]:
        return False
    return not any(_belongs(tag) or not tag.isalpha() for tag in counts if tag != "O")


def _belongs(tag: str) -> bool:
    try:
        split_tag(tag)
    except ValueError:
        return False
    return True


def to_bio(tags: Sequence[str], scheme: Scheme, default_type: str) -> tuple[str, ...]:
    """Converts the tags of a sentence to BIO; tags without a type get `default_type`.

    The spans are those that `seqeval` reads in its default mode. In IO, adjacent tags of a type are
    one span. In IO and IOB1 no tag is malformed. In the other schemes, an I or E that does not
    continue a span becomes an I, which `count_malformed` counts. Directly after E or S it becomes a
    B instead, because an I would extend the span there. Raises a `ValueError` if a tag does not
    belong to the scheme.

    Example:
        >>> to_bio(["S-PER", "O", "B-LOC", "E-LOC"], "BIOES", default_type="")
        ('B-PER', 'O', 'B-LOC', 'I-LOC')
    """
    if scheme == "IO":
        return to_bio([_inside(tag) for tag in tags], "IOB1", default_type)
    bio: list[str] = []
    is_over = False  # the last tag was E or S, so that the next one begins a span
    for tag in tags:
        prefix, label = split_tag(tag)
        if prefix not in _PREFIXES[scheme]:
            raise ValueError(f"tag {shortened(tag)!r} does not belong to the scheme {scheme}")
        if prefix == "O":
            bio.append("O")
        else:
            begins = prefix in "BS" or is_over
            bio.append(f"{'B' if begins else 'I'}-{label or default_type}")
        is_over = prefix in "ES"
    return tuple(span_tags(spans(bio), len(bio)) if scheme == "IOB1" else bio)


def _inside(tag: str) -> str:
    """Returns the IOB1 tag of a type without a prefix."""
    if tag != "O" and _belongs(tag):
        raise ValueError(
            f"tag {shortened(tag)!r} does not belong to the scheme IO, whose tags are types alone"
        )
    return tag if tag == "O" else f"I-{tag}"
