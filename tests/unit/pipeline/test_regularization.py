"""Dropouts and penalties of a language model against their formulas."""

import pytest
import torch
from torch import nn

from pipeline.batches import IGNORE_INDEX
from pipeline.regularization import ActivationPenalty, Dropouts
from tests.examples import value_error


def test_whole_words_are_dropped_and_the_rest_is_scaled():
    torch.manual_seed(1)
    embedding = nn.Embedding(500, 4)
    tokens = torch.arange(500).repeat(3, 2)
    vectors = Dropouts(words=0.3).embed(embedding, tokens)
    plain = embedding(tokens)
    dropped = (vectors == 0).all(dim=-1)
    torch.testing.assert_close(vectors[~dropped], plain[~dropped] / 0.7)
    # A word is dropped in all its places or in none, rows of the batch alike.
    assert torch.equal(dropped, dropped[:1, :500].repeat(3, 2))
    assert dropped.double().mean().item() == pytest.approx(0.3, abs=0.06)
    vectors.sum().backward()
    gone = dropped[0, :500]
    assert not embedding.weight.grad[gone].any()
    torch.testing.assert_close(
        embedding.weight.grad[~gone],
        torch.full_like(plain[0, 0], 6 / 0.7).expand(int((~gone).sum()), 4),
    )


@pytest.mark.parametrize("locked", [True, False])
def test_numbers_are_dropped_by_row_or_by_step(locked):
    torch.manual_seed(2)
    dropouts = Dropouts(inputs=0.4, outputs=0.2, locked=locked)
    embedding = nn.Embedding.from_pretrained(torch.ones(2, 300))
    read = dropouts.embed(embedding, torch.zeros(20, 6, dtype=torch.long))
    states = dropouts.outputs(torch.ones(20, 6, 300))
    for numbers, chance in ((read, 0.4), (states, 0.2)):
        assert numbers.unique().tolist() == pytest.approx([0, 1 / (1 - chance)])
        assert (numbers == 0).double().mean().item() == pytest.approx(chance, abs=0.02)
        assert torch.equal(numbers, numbers[:, :1].expand_as(numbers)) == locked
        assert not torch.equal(numbers[0], numbers[1])


def test_nothing_happens_in_evaluation():
    dropouts = Dropouts(0.5, 0.5, 0.5).eval()
    embedding, tokens = nn.Embedding(7, 3), torch.randint(7, (2, 5))
    assert torch.equal(dropouts.embed(embedding, tokens), embedding(tokens))
    states = torch.randn(2, 5, 3)
    assert torch.equal(dropouts.outputs(states), states)


def test_the_penalty_retyped():
    """The means of squares, one number at a time."""
    torch.manual_seed(3)
    states, dropped = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    targets = torch.zeros(3, 4, dtype=torch.long)
    squares = [float(dropped[r, t, k]) ** 2 for r in range(3) for t in range(4) for k in range(5)]
    steps = [
        float(states[r, t, k] - states[r, t - 1, k]) ** 2
        for r in range(3)
        for t in range(1, 4)
        for k in range(5)
    ]
    for alpha, beta in ((2.0, 1.0), (0.5, 0.0), (0.0, 3.0)):
        expected = alpha * sum(squares) / len(squares) + beta * sum(steps) / len(steps)
        ours = ActivationPenalty(alpha, beta)(dropped, states, targets, 12.0)
        assert ours.item() == pytest.approx(expected)


def test_the_mean_over_unequal_ranks_is_that_of_all():
    torch.manual_seed(4)
    penalty = ActivationPenalty(2.0, 1.0)
    states, dropped = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    targets = torch.zeros(5, 4, dtype=torch.long)
    whole = penalty(dropped, states, targets, 20.0)
    shares = [penalty(dropped[s], states[s], targets[s], 10.0) for s in (slice(2), slice(2, 5))]
    torch.testing.assert_close(sum(shares) / 2, whole)


def test_steps_without_a_target_count_nothing():
    states = torch.ones(2, 3, 4)
    states[1, 2] = 9
    targets = torch.tensor([[1, 1, 1], [1, 1, IGNORE_INDEX]])
    assert ActivationPenalty(1.0, 0.0)(states, states, targets, 5.0).item() == pytest.approx(1)
    assert ActivationPenalty(0.0, 1.0)(states, states, targets, 5.0).item() == 0


def test_one_step_has_no_pairs():
    states = torch.full((2, 1, 3), 2.0)
    targets = torch.zeros(2, 1, dtype=torch.long)
    assert ActivationPenalty(1.0, 1.0)(states, states, targets, 2.0).item() == 4


def test_half_precision_is_summed_in_float32():
    states = torch.full((2, 3, 4), 0.1, dtype=torch.bfloat16)
    penalty = ActivationPenalty()(states, states, torch.zeros(2, 3, dtype=torch.long), 6.0)
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(2 * float(states[0, 0, 0]) ** 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropouts(words=1.0), "words of Dropouts must be at least 0 and below 1, got 1.0"),
        (
            lambda: Dropouts(inputs=-0.1),
            "inputs of Dropouts must be at least 0 and below 1, got -0.1",
        ),
        (
            lambda: Dropouts(outputs=float("nan")),
            "outputs of Dropouts must be at least 0 and below 1, got nan",
        ),
        (
            lambda: ActivationPenalty(alpha=-1),
            "alpha of ActivationPenalty must be at least 0, got -1",
        ),
        (
            lambda: ActivationPenalty(beta=float("nan")),
            "beta of ActivationPenalty must be at least 0, got nan",
        ),
    ],
)
def test_impossible_settings(make, message):
    with value_error(message):
        make()
