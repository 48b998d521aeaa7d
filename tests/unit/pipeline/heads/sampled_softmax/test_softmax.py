"""Sampled losses against their formulas in plain Python, and against what they approximate."""

import math

import pytest
import torch
from torch import nn

from pipeline.heads import NCE, BlackOut, NegativeSampling, Sampled, SampledSoftmax
from pipeline.heads.sampled_softmax.noise import Noise
from tests.examples import check_gradients, sigmoid, vocabulary
from tests.unit.pipeline.heads.layers import INPUT_SIZE, VOCAB_SIZE, ZIPF, make

CRITERIA = [SampledSoftmax(), NCE(), NegativeSampling(), BlackOut()]
every_criterion = pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: type(c).__name__)


def sampled_softmax(s, t, drawn, q, log_z):
    k = len(drawn)
    return (
        math.log(math.exp(s[t]) + sum(math.exp(s[j]) / (k * q[j]) for j in drawn if j != t)) - s[t]
    )


def nce(s, t, drawn, q, log_z):
    k = len(drawn)
    data = [math.exp(s[w] - log_z) / (math.exp(s[w] - log_z) + k * q[w]) for w in range(len(s))]
    return -math.log(data[t]) - sum(math.log(1 - data[j]) for j in drawn)


def negative_sampling(s, t, drawn, q, log_z):
    return -math.log(sigmoid(s[t])) - sum(math.log(sigmoid(-s[j])) for j in drawn)


def blackout(s, t, drawn, q, log_z):
    total = sum(math.exp(s[w]) / q[w] for w in [t, *drawn])
    p = [math.exp(score) / q[w] / total for w, score in enumerate(s)]
    return -math.log(p[t]) - sum(math.log(1 - p[j]) for j in drawn)


@pytest.mark.parametrize(
    ("criterion", "formula", "log_z"),
    [
        (SampledSoftmax(), sampled_softmax, 0),
        (NCE(), nce, math.log(VOCAB_SIZE)),
        (NCE(1.5), nce, 1.5),
        (NegativeSampling(), negative_sampling, 0),
        (BlackOut(), blackout, 0),
    ],
)
@pytest.mark.parametrize("power", [0, 0.75, 1])
def test_loss_is_the_formula_in_plain_python(monkeypatch, criterion, formula, log_z, power):
    drawn = [0, 3, 3, 12, 1, 0]  # some are targets, by accident
    layer, states, targets = make(lambda size, words: Sampled(size, words, criterion, 6, power))
    monkeypatch.setattr(layer.noise, "draw", lambda num: torch.tensor(drawn))
    targets[0, :3] = torch.tensor([0, 3, 7])
    q = [count**power / sum(c**power for c in ZIPF) for count in ZIPF]
    expected = 0.0
    for state, target in zip(
        states.reshape(-1, 5).tolist(), targets.flatten().tolist(), strict=True
    ):
        if target >= 0:
            scores = [
                sum(w * x for w, x in zip(row, state, strict=True)) + b
                for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
            ]
            expected += formula(scores, target, drawn, q, log_z)
    assert layer.loss(states, targets).item() == pytest.approx(expected)


@every_criterion
def test_gradients_of_the_loss_are_finite_differences(criterion):
    layer, states, targets = make(lambda size, words: Sampled(size, words, criterion, 7), rows=(4,))
    check_gradients(layer, lambda states: layer.loss(states, targets), states)


@pytest.mark.parametrize("criterion", ["softmax", "nce", "blackout"])
def test_with_many_negatives_the_gradient_is_that_of_the_softmax(criterion):
    torch.manual_seed(0)
    layer, states, _ = make(lambda size, words: Sampled(size, words, None, 200_000, 0.5), rows=(1,))
    scores = torch.nn.functional.linear(states[0], layer.weight, layer.bias)
    log_z = scores.logsumexp(0).item()
    layer.criterion = {"softmax": SampledSoftmax(), "nce": NCE(log_z), "blackout": BlackOut()}[
        criterion
    ]
    target = torch.tensor([2])
    found = torch.autograd.grad(layer.loss(states, target), [states, *layer.parameters()])
    wanted = torch.autograd.grad(
        -layer.log_probs(states, target).sum(), [states, *layer.parameters()]
    )
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).norm() <= 0.02 * theirs.norm()


@every_criterion
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_training_reaches_the_distribution(criterion, power):
    """The share of each word in the targets, from a constant state; what a full softmax learns."""
    torch.manual_seed(0)
    shares = torch.tensor([0.05, 0.4, 0.1, 0.25, 0.2], dtype=torch.float64)
    counts = [40, 10, 20, 20, 10]  # not the shares: noise is another distribution
    layer = Sampled(1, vocabulary(5, counts), criterion, 2000, power).double()
    targets = torch.arange(5).repeat_interleave((shares * 40).long())
    states = torch.ones(len(targets), 1).double()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, betas=(0.9, 0.9))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, 200)
    for _ in range(200):
        optimizer.zero_grad()
        (layer.loss(states, targets) / len(targets)).backward()
        optimizer.step()
        schedule.step()
    found = layer.log_distribution(states[0]).exp()
    torch.testing.assert_close(found, shares, rtol=0, atol=0.01)


def test_noise_has_the_power_of_the_counts():
    torch.manual_seed(0)
    noise = Noise(vocabulary(4, [16, 9, 0, 4]), 0.5)
    expected = torch.tensor([0.4, 0.3, 0.1, 0.2], dtype=torch.float64)  # none counts as one
    torch.testing.assert_close(noise.log_probs(torch.arange(4)).exp(), expected)
    drawn = torch.bincount(noise.draw(100_000), minlength=4) / 100_000
    torch.testing.assert_close(drawn.double(), expected, rtol=0, atol=0.006)


def test_noise_is_not_rounded_with_the_model():
    layer = Sampled(3, vocabulary(1000)).bfloat16()
    assert layer.noise.log_probs(torch.arange(1000)).exp().sum().item() == pytest.approx(1)


def test_only_targets_and_negatives_get_a_gradient(monkeypatch):
    layer, states, targets = make(Sampled, rows=(1, 3))
    monkeypatch.setattr(layer.noise, "draw", lambda num: torch.tensor([9, 4, 4]))
    targets[0, :2] = torch.tensor([1, 7])
    layer.loss(states, targets).backward()
    assert layer.weight.grad.any(1).nonzero().squeeze(1).tolist() == [1, 4, 7, 9]


def test_tied_layers_share_one_matrix():
    layer, states, targets = make(Sampled)
    embedding = nn.Embedding(VOCAB_SIZE, INPUT_SIZE).double()
    layer.tie(embedding)
    layer.loss(states, targets).backward()
    assert embedding.weight.grad.any()
    with pytest.raises(ValueError, match="the embedding is 12 x 5 and the output layer is 13 x 5"):
        layer.tie(nn.Embedding(12, 5))


def test_mistakes_are_told():
    words = vocabulary(4)
    with pytest.raises(ValueError, match="num_negatives must be at least 1, got 0"):
        Sampled(3, words, num_negatives=0)
    with pytest.raises(ValueError, match=r"power, .*, must be at least 0, got -1"):
        Sampled(3, words, power=-1)
    words.counts = None
    with pytest.raises(ValueError, match="a sampled softmax needs the counts of the words"):
        Sampled(3, words)
