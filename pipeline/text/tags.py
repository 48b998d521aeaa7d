"""Tags, one for each token, and the spans that they stand for.

Inside the program all tags are BIO (IOB2): "B-PER" begins a span, "I-PER" goes on with it, "O" is
outside. Files spell the same spans in other schemes; `detect_scheme` and `to_bio` read those. Tags
that say nothing of spans (parts of speech) are labels and stay as they are; see `are_labels`.
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from seqeval.metrics.sequence_labeling import get_entities

Scheme: TypeAlias = Literal["IOB1", "IOB2", "BIOES", "BIO without types"]

_ALSO = {"L": "E", "U": "S"}  # BILOU's names
_PREFIXES = {"IOB1": "BIO", "IOB2": "BIO", "BIOES": "BIOES", "BIO without types": "BIO"}


class Span(NamedTuple):
    """A span of tokens.

    Attributes:
        label: its type, as "PER".
        start: index of its first token.
        end: index after its last token.
    """

    label: str
    start: int
    end: int


def spans(tags: Sequence[str]) -> list[Span]:
    """Reads the spans as conlleval does: an I that continues nothing begins a span.

    Args:
        tags: BIO tags of a sentence.

    Returns:
        The spans from left to right, as `seqeval` reads them in its default mode.
    """
    marked = [place for place, tag in enumerate(tags) if tag != "O"]
    if not marked:
        return []
    first, end = marked[0], marked[-1] + 1  # most tags are O, and seqeval takes its time
    entities = get_entities(list(tags[first:end]))  # type: ignore[no-untyped-call]
    return [Span(label, first + start, first + last + 1) for label, start, last in entities]


def strict_spans(tags: Sequence[str]) -> list[Span]:
    """Reads the spans as `seqeval` does in its strict mode for IOB2: only a B begins a span.

    Args:
        tags: BIO tags of a sentence.

    Returns:
        The spans from left to right.
    """
    return [span for span in spans(tags) if tags[span.start].startswith("B")]


def count_malformed(tags: Sequence[str]) -> int:
    """Counts the I tags that continue no B or I of their type.

    Args:
        tags: BIO tags of a sentence.
    """
    pairs = zip(("O", *tags), tags, strict=False)
    return sum(tag[0] == "I" and (left == "O" or left[1:] != tag[1:]) for left, tag in pairs)


def span_tags(spans: Iterable[Span], length: int) -> list[str]:
    """Writes spans as BIO tags.

    Args:
        spans: spans that do not overlap.
        length: tokens of the sentence.

    Returns:
        A tag for each token.

    Raises:
        ValueError: a span is empty, outside the sentence, or overlaps another.
    """
    tags = ["O"] * length
    for span in spans:
        label, start, end = span
        if not 0 <= start < end <= length:
            raise ValueError(f"{span} is not inside a sentence of {length} tokens")
        if tags[start:end].count("O") < end - start:
            raise ValueError(f"{span} overlaps another span")
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return tags


def tag_set(types: Iterable[str]) -> tuple[str, ...]:
    """Gives all BIO tags of some types: "O", then B and I of each type, in alphabetical order."""
    return "O", *(f"{prefix}-{label}" for label in sorted(set(types)) for prefix in "BI")


def types_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Gives the types of BIO tags, each once, in alphabetical order."""
    return tuple(sorted({tag[2:] for tag in tags if tag != "O"}))


def are_labels(tags: Iterable[str]) -> bool:
    """Tells whether tags are labels, as "NN": some tag is neither "O" nor B or I with a type."""
    return not all(tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2) for tag in tags)


@functools.lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """Splits a tag as files spell it: "B-PER", "B_PER" or, without a type, "B".

    Args:
        tag: the tag.

    Returns:
        Its prefix, one of B, I, O, E and S (L and U, as in BILOU, are E and S), and its type, ""
        if it has none.

    Raises:
        ValueError: the tag belongs to no scheme.
    """
    prefix, separator, label = tag[:1], tag[1:2], tag[2:]
    prefix = _ALSO.get(prefix, prefix)
    is_bare = tag == "O" or (len(tag) == 1 and prefix in "BIES")
    if not is_bare and not (prefix and prefix in "BIES" and separator in "-_" and label):
        raise ValueError(
            f"the tag {tag!r} belongs to no scheme; O, or one of B, I, E, S, L and U, alone or with"
            " a type as in B-PER, is expected"
        )
    return prefix, label


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Tells the scheme in which tags are written.

    E, S, L or U anywhere mean BIOES. Else the spans decide that do not touch a span of their type
    on the left: IOB2 begins those with B and IOB1 with I, so what most of them begin with counts.
    IOB2 where they are as many, and where there are none. Thus a file of IOB2 with some malformed
    tags is still IOB2.

    Args:
        sentences: the tags of each sentence, as the file spells them.

    Returns:
        The scheme; "BIO without types" is IOB2 whose tags are bare.

    Raises:
        ValueError: a tag belongs to no scheme.
    """
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


def to_bio(tags: Sequence[str], scheme: Scheme, default_type: str) -> tuple[str, ...]:
    """Writes the tags of a sentence in BIO.

    The spans stay those that `seqeval` reads in its default mode. IOB1 has no malformed tags. In
    the other schemes an I or E that continues nothing stays an I, for `count_malformed` to find;
    only right after E or S it becomes a B, since an I would join the span there.

    Args:
        tags: as the file spells them.
        scheme: the scheme in which they are written.
        default_type: the type of tags without one.

    Returns:
        The BIO tags.

    Raises:
        ValueError: a tag belongs to no scheme, or to another one.
    """
    bio: list[str] = []
    is_over = False  # E or S came last: what follows it begins a span
    for tag in tags:
        prefix, label = split_tag(tag)
        if prefix not in _PREFIXES[scheme]:
            raise ValueError(f"the tag {tag!r} is not of the scheme {scheme}")
        if prefix == "O":
            bio.append("O")
        else:
            begins = prefix in "BS" or is_over
            bio.append(f"{'B' if begins else 'I'}-{label or default_type}")
        is_over = prefix in "ES"
    return tuple(span_tags(spans(bio), len(bio)) if scheme == "IOB1" else bio)
