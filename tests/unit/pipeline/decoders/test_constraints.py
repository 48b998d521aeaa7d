"""Constraints against what conlleval calls malformed."""

import itertools

import pytest

from pipeline.decoders.scores import allowed_starts, allowed_transitions
from pipeline.text.tags import count_malformed, tag_set


@pytest.mark.parametrize("tags", [tag_set(["x"]), tag_set(["x", "a-b"]), ("I-y", "O", "B-y")])
def test_allowed_sequences_are_those_without_malformed_spans(tags):
    transitions, starts = allowed_transitions(tags), allowed_starts(tags)
    for ids in itertools.product(range(len(tags)), repeat=3):
        allowed = starts[ids[0]] and all(transitions[pair] for pair in itertools.pairwise(ids))
        assert allowed == (count_malformed([tags[i] for i in ids]) == 0)


def test_labels_follow_in_any_order():
    labels = ["NN", "I-1", "O"]  # a name that looks like BIO among others that do not
    assert allowed_transitions(labels).all()
    assert allowed_starts(labels).all()
