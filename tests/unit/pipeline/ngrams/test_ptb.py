"""N-gram models of the Penn Treebank against KenLM and SRILM."""

import numpy as np
import pytest

from datamodules.language_model.datamodule import LanguageModelData
from pipeline.ngrams import AddDelta, KneserNey, MaximumLikelihood, StupidBackoff, count
from pipeline.ngrams.kneser_ney import adjusted_counts, estimate_discounts


@pytest.fixture(scope="module")
def ptb(real_data, tmp_path_factory):
    data = LanguageModelData(corpus=str(real_data / "ptb"))
    return {split: np.asarray(text) for split, text in data._corpus.ids.items()}, data.vocabulary


@pytest.fixture(scope="module")
def counts(ptb):
    ids, vocabulary = ptb
    return count(ids["train"], vocabulary.eos_id, len(vocabulary), 5)


def perplexity(model, ids):
    return float(np.exp(-model.log_probs(ids).mean()))


def test_counts_and_discounts_are_lmplzs(counts):
    sizes = [len(order.keys) for order in counts.orders]
    assert sizes == [10_001, 264_990, 586_558, 717_733, 737_952]  # lmplz adds its own unknown
    found = [estimate_discounts(amounts, True) for amounts in adjusted_counts(counts)]
    expected = [
        (0.727802, 1.09876, 1.4713),
        (0.868879, 1.25462, 1.44822),
        (0.942828, 1.38314, 1.43173),
        (0.959671, 1.3879, 1.24171),
    ]
    np.testing.assert_allclose(found[1:], expected, rtol=4e-6)


def test_kneser_ney_of_order_five(counts, ptb):
    ids, _ = ptb
    model = KneserNey().estimate(counts).model
    assert len(ids["test"]) == 82_430
    assert perplexity(model, ids["test"]) == pytest.approx(141.18605, abs=1e-5)
    assert perplexity(model, ids["valid"]) == pytest.approx(148.00800, abs=1e-5)
    places = np.random.default_rng(0).integers(10, len(ids["test"]), 300)
    contexts = np.stack([ids["test"][places - back] for back in (4, 3, 2, 1)], 1).astype(np.int64)
    sums = model.distribution(contexts).sum(1)  # whatever stands before an end: any context will do
    np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-12)


def test_with_lmplzs_own_unknown_word_the_score_is_lmplzs(ptb):
    """`<unk>` was renamed for it, and it adds one that no text holds: 1 / 10001 below unigrams."""
    ids, vocabulary = ptb
    counts = count(ids["train"], vocabulary.eos_id, len(vocabulary) + 1, 5)
    model = KneserNey().estimate(counts).model
    assert round(perplexity(model, ids["test"]), 4) == 141.1862
    assert round(perplexity(model, ids["valid"]), 3) == 148.008


@pytest.mark.parametrize(
    ("smoothing", "order", "expected"),
    [
        (KneserNey(), 2, 185.7),
        (KneserNey(), 3, 148.28),
        (KneserNey(), 4, 142.72),
        (KneserNey(modified=False), 5, 143.5),
        (KneserNey(modified=False), 3, 150.6),
        (KneserNey(min_counts=[1, 1, 1, 1, 2]), 5, 141.46),  # SRILM's gt5min
        (KneserNey(min_counts=[1, 1, 2]), 3, 153.0),
        (AddDelta(), 2, 824),
        (AddDelta(0.002), 3, 953.0),
        (MaximumLikelihood(), 1, 639.3),
    ],
)
def test_known_perplexities(counts, ptb, smoothing, order, expected):
    model = smoothing.estimate(counts.up_to(order)).model
    digits = len(str(expected).partition(".")[2])
    assert round(perplexity(model, ptb[0]["test"]), digits) == expected


def test_stupid_backoff_is_a_distribution(counts, ptb):
    model = StupidBackoff().estimate(counts).model
    contexts = ptb[0]["test"][: 4 * 200].reshape(200, 4).astype(np.int64)
    np.testing.assert_allclose(model.distribution(contexts).sum(1), 1, rtol=0, atol=1e-12)
