"""Poolings against loops over the steps of each text."""

import math

import pytest
import torch

from pipeline.encoders import LSTM, Window
from pipeline.pooling import Attention, Last, Max, Mean, MeanMax

LENGTHS = [4, 1, 0, 3]
POOLINGS = [Last, Mean, Max, MeanMax, lambda: Attention(5)]


def fitted(make, bidirectional=True):
    torch.manual_seed(1)
    encoder = LSTM(3, 4, bidirectional=bidirectional).double()
    pooling = make()
    pooling.fit(encoder)
    return pooling.double(), encoder


def states(encoder):
    return torch.randn(4, 6, encoder.output_size, dtype=torch.float64)


def by_hand(pooling, steps, is_causal):
    """One text's vector, by the definitions."""
    half = len(steps[0]) // 2
    if isinstance(pooling, Last):
        return steps[-1] if is_causal else [*steps[-1][:half], *steps[0][half:]]
    mean = [sum(column) / len(steps) for column in zip(*steps, strict=True)]
    if isinstance(pooling, Mean):
        return mean
    highest = [max(column) for column in zip(*steps, strict=True)]
    if isinstance(pooling, Max):
        return highest
    if isinstance(pooling, MeanMax):
        return mean + highest
    weight, bias, score = (
        p.tolist() for p in (pooling.project.weight, pooling.project.bias, pooling.score.weight[0])
    )
    scores = []
    for step in steps:
        inner = [
            math.tanh(sum(w * x for w, x in zip(row, step, strict=True)) + b)
            for row, b in zip(weight, bias, strict=True)
        ]
        scores.append(math.exp(sum(v * u for v, u in zip(score, inner, strict=True))))
    shares = [value / sum(scores) for value in scores]
    return [
        sum(s * x for s, x in zip(shares, column, strict=True))
        for column in zip(*steps, strict=True)
    ]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("make", POOLINGS)
def test_the_definitions(make, bidirectional):
    pooling, encoder = fitted(make, bidirectional)
    batch = states(encoder)
    pooled = pooling(batch, torch.tensor(LENGTHS))
    assert pooled.shape == (4, pooling.output_size)
    for row, length in enumerate(LENGTHS):
        expected = [0.0] * pooling.output_size
        if length:
            expected = by_hand(pooling, batch[row, :length].tolist(), encoder.is_causal)
        assert pooled[row].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("make", POOLINGS)
def test_padding_cannot_be_seen(make):
    """Neither by the result nor by the gradient, whatever stands there."""
    pooling, encoder = fitted(make)
    batch = states(encoder)
    dirty = batch.clone()
    for row, length in enumerate(LENGTHS):
        dirty[row, length:] = float("nan")
    dirty.requires_grad_()
    lengths = torch.tensor(LENGTHS)
    pooled = pooling(dirty, lengths)
    torch.testing.assert_close(pooled, pooling(batch, lengths))
    pooled.square().sum().backward()
    for row, length in enumerate(LENGTHS):
        assert dirty.grad[row, length:].abs().sum() == 0
        assert dirty.grad[row, :length].isfinite().all()


def test_attention_weights_sum_to_one():
    pooling, encoder = fitted(POOLINGS[-1])
    weights = pooling.weights(states(encoder), torch.tensor(LENGTHS))
    torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1, 0, 1], dtype=torch.float64))
    assert weights[1, 1:].sum() == 0


def test_what_is_refused():
    with pytest.raises(ValueError, match="Last needs an encoder whose last state depends on"):
        Last().fit(Window(3, before=1, after=1, hidden_size=4))
    with pytest.raises(ValueError, match="size of Attention must be at least 1, got 0"):
        Attention(0)
