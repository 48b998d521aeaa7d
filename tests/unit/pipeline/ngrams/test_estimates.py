"""Each estimate is the paper's formula retyped with dictionaries, and a distribution."""

import itertools
import math

import numpy as np
import pytest

from pipeline.ngrams import AddDelta, Katz, KneserNey, MaximumLikelihood, StupidBackoff, count
from pipeline.ngrams.kneser_ney import adjusted_counts, estimate_discounts
from tests.unit.pipeline.ngrams import brute_force

EOS = 2
SIZE = 7  # word 6 is in no sentence
WORDS = list(range(SIZE))
DISCOUNTS = [0.4, 0.9, 1.3]


def make_sentences(seed=3, number=70):
    """Sentences of six words, some of them frequent."""
    draw = np.random.default_rng(seed)
    chances = np.array([0.45, 0.2, 0, 0.17, 0.1, 0.08])
    lengths = draw.integers(0, 7, number)
    return [[*draw.choice(6, size, p=chances).tolist(), EOS] for size in lengths]


def stream(sentences):
    return np.array([word for sentence in sentences for word in sentence])


SENTENCES = make_sentences()
UNSEEN = [*make_sentences(seed=8, number=30), [6, 0, 1, EOS], [6, 6, EOS]]


def brute_force_log_probs(oracle, sentences):
    found = []
    for sentence in sentences:
        past = (brute_force.BEGIN,)
        for word in sentence:
            prob = oracle.prob(past, word)
            found.append(math.log(prob) if prob else -math.inf)
            past = (*past, word)
    return np.array(found)


def discounts(counts, modified=True):
    """Discounts of each order, estimated or the fallback of KenLM."""
    fallback = [0.5, 1.0, 1.5] if modified else [0.75] * 3
    found = [estimate_discounts(amounts, modified) for amounts in adjusted_counts(counts)]
    return [fallback if one is None else list(one) for one in found]


def pairs(order):
    """Smoothing methods with their brute-force versions."""
    counts = count(stream(SENTENCES), EOS, SIZE, order)
    for modified in (True, False):
        for cut_offs in ([1], [1, 1, 2], [1, 2, 2, 3], [1, 1, 999]):
            each = [*cut_offs, *[cut_offs[-1]] * order]
            smoothing = KneserNey(modified, cut_offs[:order])
            taken = discounts(counts, modified)
            yield smoothing, brute_force.KneserNey(SENTENCES, WORDS, order, taken, each)
    for highest, cut_offs in (
        (5, [1] * 4),
        (2, [1] * 4),
        (1, [1] * 4),
        (3, [1, 1, 2, 3]),
        (5, [1, 99, 99, 99]),
    ):
        oracle = brute_force.Katz(SENTENCES, WORDS, order, highest, cut_offs)
        yield Katz(highest, cut_offs[:order]), oracle
    yield MaximumLikelihood(), brute_force.MaximumLikelihood(SENTENCES, WORDS, order)
    for delta in (1.0, 0.03):
        yield AddDelta(delta), brute_force.AddDelta(SENTENCES, WORDS, order, delta)
    for alpha in (0.4, 1.0):
        yield StupidBackoff(alpha), brute_force.StupidBackoff(SENTENCES, WORDS, order, alpha)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_estimates_are_the_formulas(order):
    counts = count(stream(SENTENCES), EOS, SIZE, order)
    for smoothing, oracle in pairs(order):
        model = smoothing.estimate(counts).model
        for sentences in (SENTENCES, UNSEEN):
            expected = brute_force_log_probs(oracle, sentences)
            scored = model.log_probs(stream(sentences))
            np.testing.assert_allclose(
                scored, expected, rtol=1e-12, atol=1e-12, err_msg=f"{vars(smoothing)}"
            )


def contexts(order):
    """All contexts of two words and all sentence beginnings, padded to order-1 words."""
    found = set()
    for length in range(order):
        for words in itertools.product([0, 1, 4, 6], repeat=length):
            found.add(((-1,) * order + words)[-(order - 1) :] if order > 1 else ())
    return np.array(sorted(found), dtype=np.int64).reshape(len(found), order - 1)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_distributions_sum_to_one_and_hold_the_scores(order):
    counts = count(stream(SENTENCES), EOS, SIZE, order)
    every = contexts(order)
    for smoothing, _ in pairs(order):
        model = smoothing.estimate(counts).model
        rows = model.distribution(every)
        np.testing.assert_allclose(rows.sum(1), 1, rtol=0, atol=1e-12)
        for word in WORDS:
            after = model.log_probs_after(every, np.full(len(every), word))
            np.testing.assert_allclose(np.exp(after), rows[:, word], rtol=1e-14)


def test_counts_are_those_of_a_dictionary():
    counts = count(stream(SENTENCES), EOS, SIZE, 4)
    below = {}
    for length, order in enumerate(counts.orders, start=1):
        expected = brute_force.counts(SENTENCES, length)
        grams = {}
        for place, (key, prefix) in enumerate(zip(order.keys, order.prefixes, strict=True)):
            if length == 1:
                gram = (brute_force.BEGIN if place == SIZE else place,)
            else:
                gram = (*below[prefix], int(key % SIZE))
                assert below[order.suffixes[place]] == gram[1:]
            grams[place] = gram
            assert expected[gram] == order.counts[place]
            assert order.begins[place] == (gram[0] == brute_force.BEGIN)
        assert sum(order.counts) == sum(expected.values())
        below = grams


def test_kneser_ney_takes_its_discounts_from_counts_of_counts():
    amounts = np.array([0] * 3 + [1] * 40 + [2] * 13 + [3] * 6 + [4] * 4 + [9] * 5)
    np.testing.assert_allclose(
        estimate_discounts(amounts, True), brute_force.discounts_of((40, 13, 6, 4)), rtol=1e-15
    )
    assert estimate_discounts(amounts, False) == (40 / 66,) * 3


@pytest.mark.parametrize(
    "amounts",
    [[1] * 9 + [2] * 4 + [3] * 2, [2, 2, 3, 4], [1, 2] + [3] * 9 + [4], [1, 1, 2, 3] + [4] * 9],
    ids=["no n4", "no n1", "D2 below 0", "D3 below 0"],
)
def test_undefined_discounts_are_kenlms_and_said(amounts):
    assert estimate_discounts(np.array(amounts), True) is None
    few = [[0, 1, EOS], [1, 0, EOS]]
    found = KneserNey().estimate(count(stream(few), EOS, SIZE, 2))
    assert found.notes == [
        f"the discounts of order {order} cannot be estimated, because the text has too few n-grams "
        "with small counts; they are set to 0.5, 1, 1.5"
        for order in (1, 2)
    ]
    expected = brute_force.KneserNey(few, WORDS, 2, [[0.5, 1, 1.5]] * 2, [1, 1])
    scored = found.model.log_probs(stream(UNSEEN))
    np.testing.assert_allclose(scored, brute_force_log_probs(expected, UNSEEN), rtol=1e-12)


def test_katz_says_which_counts_are_not_discounted():
    few = count(stream([[0, 1, EOS], [1, 0, EOS]]), EOS, SIZE, 1)
    assert Katz(2).estimate(few).notes == [
        "the Good-Turing discounts of order 1 are undefined or out of range for n-grams seen 1, 2 "
        "times; these n-grams are not discounted"
    ]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: count(stream(SENTENCES), EOS, SIZE, 0), "order .* 1 to 9, got 0"),
        (lambda: count(stream(SENTENCES), EOS, SIZE, 10), "order .* 1 to 9, got 10"),
        (
            lambda: count(stream([[0, 1, EOS], [EOS]]), EOS, SIZE, 7),
            "no n-gram of order 5, because its longest sentence has 3 tokens; .* at most 4, got 7",
        ),
        (lambda: AddDelta(0.0), "delta, .* above 0, got 0.0"),
        (lambda: AddDelta(-1.0), "delta, .* above 0, got -1.0"),
        (lambda: AddDelta(math.nan), "delta, .* above 0, got nan"),
        (lambda: StupidBackoff(0.0), r"alpha .* in \(0, 1\], got 0.0"),
        (lambda: Katz(0), "highest .* got 0"),
        (lambda: KneserNey(min_counts=[1, 3, 2]), "got 3 for order 2 and 2 for order 3"),
        (lambda: Katz(min_counts=[1, 3, 2]), "got 3 for order 2 and 2 for order 3"),
        (lambda: KneserNey(min_counts=[2]), r"must start with 1, .* got \[2\]"),
        (lambda: KneserNey(min_counts=[]), r"must start with 1, .* got \[\]"),
        (lambda: KneserNey(min_counts=[1, 1, 2]).check(2), "3 entries, but the model has order 2"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make, expected):
    with pytest.raises(ValueError, match=expected):
        make()
