"""The weights of a mixture against a search over all of them."""

import itertools
import math

import pytest
import torch

from pipeline.mixtures import best_weights, mixed


def random_members(count, tokens=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, tokens, generator=generator, dtype=torch.float64).pow(2).log()


def mean_nll(log_probs, weights):
    """By plain Python, one token after the other."""
    total = 0.0
    for column in log_probs.t().tolist():
        total -= math.log(
            sum(w * math.exp(value) for w, value in zip(weights, column, strict=True))
        )
    return total / log_probs.shape[1]


def test_no_other_weights_are_better():
    log_probs = random_members(3)
    best = best_weights(log_probs).tolist()
    assert sum(best) == pytest.approx(1, abs=1e-12)
    reached = mean_nll(log_probs, best)
    for a, b in itertools.product(range(21), repeat=2):
        if a + b <= 20:
            assert reached <= mean_nll(log_probs, (a / 20, b / 20, (20 - a - b) / 20)) + 1e-12
    for index, change in itertools.product(range(3), (-1e-3, 1e-3)):
        moved = [max(w + change * (place == index), 0) for place, w in enumerate(best)]
        moved = [w / sum(moved) for w in moved]
        assert reached <= mean_nll(log_probs, moved) + 1e-12


def test_two_members_against_a_search_along_the_line():
    log_probs = random_members(2, seed=1)
    low, high = 0.0, 1.0
    for _ in range(200):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if mean_nll(log_probs, (first, 1 - first)) < mean_nll(log_probs, (second, 1 - second)):
            high = second
        else:
            low = first
    assert best_weights(log_probs)[0].item() == pytest.approx(low, abs=1e-6)


def test_mixed_is_the_formula_and_underflows_nowhere():
    log_probs = torch.tensor([[-2000.0, math.log(0.5), -math.inf], [-2001.0, -math.inf, -math.inf]])
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    expected = [-2000 + math.log(0.25 + 0.75 * math.exp(-1)), math.log(0.125), -math.inf]
    assert mixed(log_probs, weights).tolist() == pytest.approx(expected)


def test_a_member_of_no_use_gets_nothing_and_a_lone_one_everything():
    log_probs = torch.log(torch.tensor([[0.5, 0.4, 0.3], [0.1, 0.1, 0.1]]))
    assert best_weights(log_probs).tolist() == pytest.approx([1, 0], abs=1e-6)
    assert best_weights(log_probs[:1]).tolist() == [1]


def test_tokens_without_any_probability_say_nothing():
    log_probs = random_members(2)
    none = torch.full((2, 5), -math.inf, dtype=torch.float64)
    torch.testing.assert_close(
        best_weights(torch.cat([log_probs, none], dim=1)), best_weights(log_probs)
    )
    with pytest.raises(ValueError, match="no held-out token has a probability"):
        best_weights(none)


def test_tiny_probabilities_have_the_weights_of_their_ratios():
    """exp(-800) is 0 in float64, so only the ratios of the members' probabilities can be used."""
    assert best_weights(torch.tensor([[-800.0], [-801.0]])).tolist() == pytest.approx(
        [1, 0], abs=1e-6
    )
    log_probs = random_members(3)
    tiny = log_probs - 1000.0
    torch.testing.assert_close(best_weights(tiny), best_weights(log_probs))
