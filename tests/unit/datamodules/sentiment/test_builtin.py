"""The built-in reviews: labels, splits and the accuracy bound of bags of words."""

from collections import Counter, defaultdict

import pytest

from datamodules.sentiment.builtin import BuiltinReviews, bag_of_words_bound, generate_reviews
from datamodules.sentiment.builtin_grammar import WORDS, reviews
from pipeline.errors import InputError


def test_each_word_is_in_one_class():
    counts = Counter(word for words in WORDS.values() for word in words)
    spelled = {s for review in reviews() for s in review.classes if s not in WORDS}
    assert max(counts.values()) == 1
    assert not spelled & counts.keys()


def test_each_sentence_has_one_label():
    labels = defaultdict(set)
    for review in reviews():
        labels[review.classes].add(review.label)
    assert {len(found) for found in labels.values()} == {1}
    assert sum(review.chance for review in reviews()) == pytest.approx(1)
    assert sum(r.chance for r in reviews() if r.label == "positive") == pytest.approx(0.5)


def test_a_rule_by_hand():
    found = {" ".join(r.classes): r.label for r in reviews()}
    hard = "the ASPECT , which was {} , was {} ."
    assert found[hard.format("PLAIN", "DENY PRAISE")] == "negative"
    assert found[hard.format("DENY PLAIN", "PRAISE")] == "positive"
    assert found["the ASPECT was PRAISE , but the ASPECT was BLAME ."] == "negative"
    assert found["the ASPECT was PRAISE , although the ASPECT was BLAME ."] == "positive"
    assert found["you should DENY see this FILM , and you should buy the book ."] == "negative"


def test_the_bound_is_what_counting_the_words_of_many_reviews_gives():
    """The majority label of each bag of classes in 20,000 reviews, tested on 20,000 others."""
    classes = {word: name for name, words in WORDS.items() for word in words}
    seen = defaultdict(Counter)
    texts = list(generate_reviews(7, 40_000))
    bags = [
        tuple(sorted(classes.get(t, classes.get(t.lower(), t.lower())) for t in text.tokens))
        for text in texts
    ]
    for bag, text in zip(bags[:20_000], texts, strict=False):
        seen[bag][text.label] += 1
    right = sum(
        seen[bag].most_common(1)[0][0] == text.label
        for bag, text in zip(bags[20_000:], texts[20_000:], strict=True)
        if seen[bag]
    )
    assert right / 20_000 == pytest.approx(bag_of_words_bound(), abs=0.015)
    assert bag_of_words_bound() < 0.75


def test_the_same_reviews_everywhere():
    first = next(generate_reviews(1))
    assert " ".join(first.tokens) == " ".join(next(generate_reviews(1, 5)).tokens)
    assert len({text.tokens for text in generate_reviews(1, 1000)}) > 900


def test_nothing_is_tested_that_was_trained_on():
    corpus = BuiltinReviews(num_train=3000).read()
    train = {text.tokens for text in corpus.splits["train"]}
    assert [len(corpus.splits[s]) for s in ("train", "valid", "test")] == [3000, 1000, 1000]
    assert not any(text.tokens in train for s in ("valid", "test") for text in corpus.splits[s])
    smaller = BuiltinReviews(num_train=100).read()
    assert smaller.splits["train"] == corpus.splits["train"][:100]
    assert smaller.splits["test"] == corpus.splits["test"]
    with pytest.raises(InputError, match="num_train is 0"):
        BuiltinReviews(num_train=0)
