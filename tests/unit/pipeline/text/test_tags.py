import itertools
import random
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Tokens

from pipeline.text.tags import (
    Span,
    are_labels,
    count_malformed,
    detect_scheme,
    span_tags,
    spans,
    split_tag,
    strict_spans,
    tag_set,
    to_bio,
    types_of,
)

TYPES = ("PER", "LOC", "MISC-x_y")
BIO = st.lists(st.sampled_from(tag_set(TYPES)), max_size=12)
BIOES = st.lists(
    st.sampled_from(["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in TYPES)]),
    max_size=12,
)


@st.composite
def sentences_of_spans(draw):
    """Spans that do not overlap (many touch), and the length of their sentence."""
    widths = draw(st.lists(st.integers(1, 4), max_size=6))
    labels = draw(
        st.lists(st.sampled_from([None, *TYPES]), min_size=len(widths), max_size=len(widths))
    )
    ends = list(itertools.accumulate(widths))
    cut = [
        Span(label, end - width, end)
        for label, width, end in zip(labels, widths, ends, strict=True)
        if label
    ]
    return cut, sum(widths)


def write(sentence, scheme, separator="-"):
    """Writes spans in a scheme, by its definition."""
    cut, length = sentence
    tags = ["O"] * length
    for span in cut:
        touches = any(other.label == span.label and other.end == span.start for other in cut)
        size = span.end - span.start
        prefixes = {
            "IOB1": ("B" if touches else "I") + "I" * (size - 1),
            "IOB2": "B" + "I" * (size - 1),
            "BIOES": "S" if size == 1 else "B" + "I" * (size - 2) + "E",
            "BILOU": "U" if size == 1 else "B" + "I" * (size - 2) + "L",
            "BMES": "S" if size == 1 else "B" + "M" * (size - 2) + "E",
            "bmew": "w" if size == 1 else "b" + "m" * (size - 2) + "e",
        }[scheme]
        for place, prefix in enumerate(prefixes, start=span.start):
            tags[place] = f"{prefix}{separator}{span.label}"
    return tags


def conlleval_spans(tags):
    """The rule of the CoNLL scorer, retyped: B begins; I begins after O or another type."""
    found, left = [], "O"
    for place, tag in enumerate(tags):
        if tag != "O":
            if tag[0] == "B" or left[1:] != tag[1:]:
                found.append([tag[2:], place, place])
            found[-1][2] = place + 1
        left = tag
    return [Span(*span) for span in found]


@given(BIO)
def test_spans_are_those_of_seqeval_and_conlleval(tags):
    entities = [Span(label, start, last + 1) for label, start, last in get_entities(list(tags))]
    assert spans(tags) == spans(tuple(tags)) == entities == conlleval_spans(tags)


@given(BIO)
def test_strict_spans_are_those_of_seqeval(tags):
    strict = [Span(e.tag, e.start, e.end) for e in Tokens(list(tags), IOB2).entities]
    assert strict_spans(tags) == strict


@given(BIO)
def test_malformed_tags_begin_the_spans_that_are_not_strict(tags):
    assert count_malformed(tags) == len(spans(tags)) - len(strict_spans(tags))


def test_spans_by_hand():
    tags = ["I-PER", "I-LOC", "B-LOC", "I-LOC", "O", "I-LOC", "B-PER", "I-LOC"]
    assert spans(tags) == [
        Span("PER", 0, 1),
        Span("LOC", 1, 2),
        Span("LOC", 2, 4),
        Span("LOC", 5, 6),
        Span("PER", 6, 7),
        Span("LOC", 7, 8),
    ]
    assert strict_spans(tags) == [Span("LOC", 2, 4), Span("PER", 6, 7)]
    assert count_malformed(tags) == 4
    assert spans(()) == spans(["O", "O"]) == strict_spans([]) == []
    assert count_malformed(()) == 0


@given(sentences_of_spans())
def test_spans_come_back_from_their_tags(sentence):
    tags = span_tags(*sentence)
    assert spans(tags) == strict_spans(tags) == sentence[0]
    assert count_malformed(tags) == 0
    assert tags == write(sentence, "IOB2")


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ([Span("x", 0, 4)], r"Span\(.*end=4\) is empty or not inside a sentence of 3 tokens"),
        ([Span("x", -1, 1)], "is empty or not inside"),
        ([Span("x", 1, 1)], "is empty or not inside"),
        ([Span("x", 0, 2), Span("y", 1, 3)], r"Span\(label='y'.*\) overlaps another span"),
    ],
)
def test_spans_that_no_tags_can_say(cut, message):
    with pytest.raises(ValueError, match=message):
        span_tags(cut, 3)


def test_sets_of_tags():
    assert tag_set(["b", "a", "b"]) == ("O", "B-a", "I-a", "B-b", "I-b")
    assert tag_set([]) == ("O",)
    assert types_of(["I-b-c", "O", "B-a", "B-b-c"]) == ("a", "b-c")
    assert not are_labels(tag_set(TYPES))
    assert not are_labels([])
    assert are_labels(["O", "NN"])
    assert are_labels(["B-", "O"])
    assert are_labels(["B-x", "E-x"])


@given(sentences_of_spans(), st.sampled_from("-_"))
def test_every_scheme_becomes_the_same_bio(sentence, separator):
    bio = tuple(write(sentence, "IOB2"))
    for scheme in ("IOB1", "IOB2", "BIOES"):
        assert to_bio(write(sentence, scheme, separator), scheme, "span") == bio
    for names in ("BILOU", "BMES", "bmew"):
        assert to_bio(write(sentence, names, separator), "BIOES", "span") == bio


@given(st.lists(sentences_of_spans(), max_size=5), st.sampled_from(["IOB1", "IOB2", "BIOES"]))
def test_a_scheme_is_detected_where_the_tags_tell_it(sentences, scheme):
    written = [write(sentence, scheme) for sentence in sentences]
    tells = any(sentence[0] for sentence in sentences)
    assert detect_scheme(written) == (scheme if tells else "IOB2")


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        # A B begins only the second of two spans of one type; other spans begin with I.
        ([["B-A", "I-B", "I-C"]], "IOB1"),
        ([["I-A", "I-B", "B-C"]], "IOB1"),
        ([["I-A", "B-B", "B-C"]], "IOB2"),
        ([["I-A", "B-B"]], "IOB2"),  # a tie
        ([["I-A", "B-A", "B-A"]], "IOB1"),  # only the first span tells the scheme
    ],
)
def test_spans_after_a_span_of_another_type_tell_the_scheme(sentences, scheme):
    assert detect_scheme(sentences) == scheme


@given(BIOES)
def test_spans_in_bioes_are_those_of_seqeval(tags):
    entities = [Span(label, start, last + 1) for label, start, last in get_entities(list(tags))]
    assert spans(to_bio(tags, "BIOES", "span")) == entities


@given(BIO)
def test_malformed_bio_stays_as_it_is_and_iob1_has_none(tags):
    assert to_bio(tags, "IOB2", "span") == tuple(tags)
    assert count_malformed(to_bio(tags, "IOB1", "span")) == 0
    assert spans(to_bio(tags, "IOB1", "span")) == spans(tags)


def test_a_few_malformed_tags_do_not_make_it_iob1():
    random.seed(1)
    good = [write(([Span("x", 1, 3), Span("y", 3, 4)], 5), "IOB2") for _ in range(50)]
    for sentence in random.sample(good, 24):
        sentence[1] = "I-x"
    assert detect_scheme(good) == "IOB2"
    # a B that touches a span of its type says nothing: IOB1 has it as well
    assert detect_scheme([["I-x", "B-x", "B-x", "B-x"], ["B-x", "O", "I-y"]]) == "IOB1"
    assert detect_scheme([["I-x", "O", "B-x"]]) == "IOB2"  # a tie
    assert detect_scheme([["O"]]) == detect_scheme([]) == "IOB2"


def test_tags_without_types():
    tags = ["B", "I", "O", "I", "B"]
    assert detect_scheme([tags, tags]) == "BIO without types"
    bio = ("B-DSE", "I-DSE", "O", "I-DSE", "B-DSE")
    assert to_bio(tags, "BIO without types", "DSE") == bio
    assert detect_scheme([["I", "B"], ["O", "I"]]) == "IOB1"
    assert to_bio(["I", "B", "O", "I"], "IOB1", "DSE") == ("B-DSE", "B-DSE", "O", "B-DSE")
    assert detect_scheme([["S", "O"]]) == "BIOES"
    assert to_bio(["S", "B", "E", "I"], "BIOES", "x") == ("B-x", "B-x", "I-x", "B-x")
    assert detect_scheme([["B-PER", "O"], ["B"]]) == "IOB2"


@pytest.mark.parametrize(
    "tag", ["", "NN", "B-", "-PER", "PER-B", "x-PER", "OO", "O-PER", "X-PER", "B:PER", "BI", "0"]
)
def test_a_tag_of_no_scheme(tag):
    for read in (split_tag, lambda tag: detect_scheme([["O", tag]])):
        with pytest.raises(
            ValueError, match=f"^tag '{tag}' does not belong to any scheme; expected"
        ):
            read(tag)


@given(st.lists(st.sampled_from(["O", "O", "LOC", "Few-type/x"]), max_size=12))
def test_types_alone_are_spans_of_equal_neighbours(tags):
    groups = itertools.groupby(enumerate(tags), key=lambda pair: pair[1])
    expected = [
        Span(label, places[0][0], places[-1][0] + 1)
        for label, group in groups
        if label != "O" and (places := list(group))
    ]
    bio = to_bio(tags, "IO", "span")
    assert strict_spans(bio) == spans(bio) == expected


def test_types_alone_are_detected_if_most_tags_are_o():
    assert detect_scheme([["LOC", "O", "O"], ["O", "PERderiv", "O"]]) == "IO"
    for tags in (["LOC", "O"], ["LOC", "O", "O", "B-LOC"], ["PER-B", "O", "O"], ["DT", "NN"]):
        with pytest.raises(ValueError, match="does not belong to any scheme"):
            detect_scheme([tags])
    assert detect_scheme([["O", "O"]]) == "IOB2"


def test_a_tag_of_another_scheme():
    with pytest.raises(ValueError, match=r"^tag 'B-PER' does not belong to the scheme IO, whose"):
        to_bio(["LOC", "B-PER"], "IO", "span")
    with pytest.raises(ValueError, match=r"^tag 'E-PER' does not belong to the scheme IOB2$"):
        to_bio(["B-PER", "E-PER"], "IOB2", "span")


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spans(to_bio(["B_PER", "I_PER"], "IOB2", "span"))
