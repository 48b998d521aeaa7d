"""Scores of a corpus do not depend on its batches."""

import math
from fractions import Fraction

import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.metrics import TextNll, TokenNll, perplexity, token_scores


def scored(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    log_probs = -10 * torch.rand(count, generator=generator)
    targets = torch.randint(100, (count,), generator=generator)
    targets[torch.rand(count, generator=generator) < 0.1] = IGNORE_INDEX
    return log_probs, targets


def score(log_probs, targets, window):
    metric = TokenNll()
    for piece in zip(log_probs.split(window), targets.split(window), strict=True):
        metric.update(*piece)
    return metric


@pytest.mark.parametrize("window", [1, 35, 1000, 5000])
def test_mean_is_the_exact_one_however_the_corpus_is_cut(window):
    log_probs, targets = scored(5000)
    pairs = zip(log_probs.tolist(), targets.tolist(), strict=True)
    counted = [Fraction(log_prob) for log_prob, target in pairs if target != IGNORE_INDEX]
    metric = score(log_probs, targets, window)
    assert metric.count == len(counted)
    assert metric.compute().item() == pytest.approx(float(-sum(counted) / len(counted)), rel=1e-14)


def test_windows_of_unequal_length_are_not_averaged():
    metric = TokenNll()
    metric.update(torch.tensor([[-1.0, -1.0, -1.0]]), torch.zeros(1, 3, dtype=torch.long))
    metric.update(torch.tensor([[-5.0]]), torch.zeros(1, 1, dtype=torch.long))
    assert metric.compute() == 2


def test_small_terms_survive_a_large_sum():
    """In float32 each of these additions would be lost."""
    metric = TokenNll()
    metric.update(torch.tensor([-(2.0**24)]), torch.tensor([0]))
    for _ in range(10):
        metric.update(torch.tensor([-1.0]), torch.tensor([0]))
    assert metric.total.item() == 2**24 + 10


def test_ignored_targets_count_nothing_whatever_their_log_probs():
    metric = TokenNll()
    metric.update(torch.tensor([-math.inf, math.nan, -3.0]), torch.tensor([-100, -100, 7]))
    assert (metric.compute().item(), metric.count.item()) == (3, 1)


def test_an_impossible_token_makes_it_infinite():
    metric = TokenNll()
    metric.update(torch.tensor([-math.inf, -1.0]), torch.tensor([1, 2]))
    assert metric.compute() == math.inf
    assert perplexity(metric.compute()) == math.inf


def test_perplexity():
    """A uniform distribution over 10,000 words, an overflow, and nan."""
    nll = torch.tensor([math.log(10_000), 800.0, math.nan])
    values = perplexity(nll).tolist()
    assert values[0] == pytest.approx(10_000, rel=1e-6)
    assert values[1] == math.inf
    assert math.isnan(values[2])


def test_a_model_of_low_precision_is_scored_in_float64():
    log_probs, targets = scored(100)
    module = torch.nn.Module()
    module.metric = TokenNll()
    module.to(torch.bfloat16)
    for _ in range(2):
        module.metric.reset()
        module.metric.update(log_probs, targets)
        assert torch.equal(module.metric.compute(), score(log_probs, targets, 100).compute())


def test_reset_starts_anew():
    metric = score(*scored(100), 10)
    metric.reset()
    metric.update(torch.tensor([-4.0]), torch.tensor([0]))
    assert (metric.compute(), metric.count) == (4, 1)


@pytest.mark.parametrize(("sync", "expected"), [(True, 2.0), (False, 1.0)])
def test_sums_of_processes_are_added_where_asked(monkeypatch, sync, expected):
    """A stand-in for gathering adds a second process with one token of nll 3."""
    others = {torch.float64: 3.0, torch.int64: 1}
    metric = TokenNll(sync_on_compute=sync)
    metric.update(torch.tensor([-1.0]), torch.tensor([0]))
    monkeypatch.setattr(metric, "distributed_available_fn", lambda: True)
    metric.dist_sync_fn = lambda state, group: [
        state,
        torch.tensor(others[state.dtype], dtype=state.dtype),
    ]
    assert metric.compute() == expected


def test_shapes_must_agree():
    with pytest.raises(
        ValueError, match=r"log_probs \[2\] and targets \[1, 2\] must have the same shape"
    ):
        TokenNll().update(torch.zeros(2), torch.zeros(1, 2, dtype=torch.long))


@pytest.mark.parametrize("window", [1, 35, 5000])
def test_known_tokens_are_counted_exactly(window):
    """Unknown tokens, even impossible ones, are left out of both the sum and the count."""
    log_probs, targets = scored(5000)
    log_probs[targets == 3] = -math.inf
    metric = TextNll(unk_id=3)
    for piece in zip(log_probs.split(window), targets.split(window), strict=True):
        metric.update(*piece)
    pairs = zip(log_probs.tolist(), targets.tolist(), strict=True)
    known = [Fraction(log_prob) for log_prob, target in pairs if target not in (3, IGNORE_INDEX)]
    assert metric.known.compute().item() == pytest.approx(
        float(-sum(known) / len(known)), rel=1e-14
    )
    assert metric.every.compute() == math.inf
    assert metric.num_unknown == (targets == 3).sum() > 0
    metric.reset()
    assert metric.every.count == metric.known.count == 0


def test_bits_are_of_characters_alone():
    """A uniform distribution over 8 characters has 3 bits; word models have no bpc."""
    nll, count = torch.tensor(8.0, dtype=torch.float64).log(), torch.tensor(5)
    scores = token_scores(nll, nll / 3, count, torch.tensor(1), "character")
    assert {name: round(float(score), 9) for name, score in scores.items()} == {
        "perplexity": 8.0,
        "perplexity_known": 2.0,
        "nll": round(math.log(8), 9),
        "tokens": 5.0,
        "unk": 1.0,
        "bpc": 3.0,
    }
    assert "bpc" not in token_scores(nll, nll, count, count, "word")
