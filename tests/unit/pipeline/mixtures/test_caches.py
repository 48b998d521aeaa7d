"""Caches against their formulas, step by step and in batches."""

import math

import pytest
import torch

from pipeline.mixtures import NeuralCache, UnigramCache

TOKENS = [0, 3, 1, 3, 2, 2, 3, 0, 1, 1, 3, 2, 0, 3]
VOCAB = 5


def states_of(count, size=4):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, size, generator=generator)


def unigram_by_hand(cache, step):
    """The distribution after `step` was read."""
    weights = [0.0] * VOCAB
    for age in range(cache.window):
        if step - age >= 0:
            weights[TOKENS[step - age]] += cache.decay**age
    return [w / sum(weights) for w in weights]


def neural_by_hand(cache, step):
    states = states_of(len(TOKENS)).double()
    weights = [0.0] * VOCAB
    for past in range(max(step - cache.window, 0), step):
        weights[TOKENS[past + 1]] += math.exp(cache.theta * float(states[step] @ states[past]))
    if not sum(weights):
        return [1 / VOCAB] * VOCAB
    return [w / sum(weights) for w in weights]


CASES = [
    (UnigramCache(window=4, decay=0.7), unigram_by_hand),
    (UnigramCache(window=100, decay=1.0), unigram_by_hand),
    (NeuralCache(window=3, theta=0.5), neural_by_hand),
    (NeuralCache(window=50, theta=2.0), neural_by_hand),
    (NeuralCache(window=1, theta=0.0), neural_by_hand),
]


@pytest.mark.parametrize(("cache", "by_hand"), CASES)
@pytest.mark.parametrize("cut", [1, 5, 13])
def test_the_formula_whatever_the_windows(cache, by_hand, cut):
    tokens, states = torch.tensor(TOKENS), states_of(len(TOKENS))
    for target in range(VOCAB):
        memory, found = None, []
        for start in range(0, len(TOKENS), cut):
            piece = slice(start, start + cut)
            targets = torch.full_like(tokens[piece], target)
            scores, memory = cache(tokens[piece], states[piece], targets, memory, VOCAB)
            found += scores.exp().tolist()
        expected = [by_hand(cache, step)[target] for step in range(len(TOKENS))]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UnigramCache(window=0), "window of a cache must be at least 1, got 0"),
        (lambda: UnigramCache(decay=0), "decay of a cache must be above 0 and at most 1, got 0"),
        (lambda: NeuralCache(theta=-1), "theta of a cache must be at least 0, got -1"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
