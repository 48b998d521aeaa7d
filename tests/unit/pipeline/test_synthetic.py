"""Synthetic problems: generated examples, formulas by hand, and scores."""

import math

import numpy as np
import pytest
import torch

from pipeline.synthetic import Adding, Copying


def drawn(problem, count=2000, seed=1):
    return problem.draw(np.random.default_rng(seed), count)


@pytest.mark.parametrize("length", [2, 3, 11, 150])
def test_the_sum_of_two_marked_numbers_one_in_each_half(length):
    inputs, targets = drawn(Adding(length), count=300)
    assert inputs.shape == (300, length, 2)
    assert inputs.dtype == targets.dtype == torch.float32
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        marked = [step for step, (_, marker) in enumerate(row) if marker == 1]
        assert all(marker in (0, 1) and 0 <= value < 1 for value, marker in row)
        first, second = marked
        assert first < length // 2 <= second
        assert target == [pytest.approx(row[first][0] + row[second][0])]


def test_each_place_of_a_half_is_marked_as_often():
    markers = drawn(Adding(7), count=6000).inputs[:, :, 1].sum(0) / 6000
    expected = torch.tensor([1 / 3] * 3 + [1 / 4] * 4)
    torch.testing.assert_close(markers, expected, atol=0.03, rtol=0)


def test_who_always_answers_one_has_the_variance_of_the_sum():
    problem = Adding(20)
    _, targets = drawn(problem, count=100_000)
    ones = torch.ones(len(targets), 1, 1)
    assert problem.losses(ones, targets).mean() == pytest.approx(1 / 6, abs=2e-3)
    scores = problem.scores()
    scores.update(ones, targets)
    found = scores.compute()
    assert found["mse"] == pytest.approx(1 / 6, abs=2e-3)
    # The sum's density is s below 1 and 2 - s above: within 0.08 of 1 lies 0.16 - 0.08 ** 2.
    assert found["accuracy"] == pytest.approx(0.16 - 0.08**2, abs=4e-3)
    assert found["solved"] == 0


def test_scores_of_sums_over_batches_of_any_size():
    scores = Adding(5).scores()
    scores.update(torch.tensor([[[1.0]], [[0.5]], [[1.5]]]), torch.tensor([[1.0], [0.57], [1.4]]))
    scores.update(torch.tensor([[[0.75]]]), torch.tensor([[0.25]]))
    found = scores.compute()
    assert found["mse"] == pytest.approx((0.07**2 + 0.1**2 + 0.5**2) / 4, rel=1e-5)
    assert found["accuracy"] == 0.5
    scores.reset()
    scores.update(torch.tensor([[[0.34]]]), torch.tensor([[0.25]]))
    assert scores.compute()["solved"] == 1


def test_symbols_a_gap_a_sign_and_the_symbols_again():
    problem = Copying(delay=5, num_symbols=3, alphabet=4)
    inputs, targets = drawn(problem, count=50)
    assert inputs.shape == (50, 11, 6)
    assert (inputs.sum(-1) == 1).all()
    seen = set()
    for row, answers in zip(inputs.argmax(-1).tolist(), targets.tolist(), strict=True):
        symbols = row[:3]
        assert row[3:] == [4, 4, 4, 4, 5, 4, 4, 4]
        assert answers == [4] * 8 + symbols
        seen |= set(symbols)
    assert seen == {0, 1, 2, 3}


def test_who_forgets_all_symbols_has_the_baseline():
    problem = Copying(delay=7, num_symbols=3, alphabet=4)
    _, targets = drawn(problem)
    logits = torch.full((len(targets), 13, 5), -100.0)
    logits[:, :10, 4] = 0
    logits[:, 10:, :4] = 0
    assert problem.baseline == pytest.approx(3 * math.log(4) / 13)
    expected = torch.full((len(targets),), problem.baseline)
    torch.testing.assert_close(problem.losses(logits, targets), expected)
    scores = problem.scores()
    for part in (slice(0, 7), slice(7, None)):
        scores.update(logits[part], targets[part])
    found = scores.compute()
    assert found["nll"] == pytest.approx(problem.baseline)
    assert found["accuracy"] == pytest.approx(1 / 4, abs=0.03)
    assert found["solved"] == 0
    right = torch.nn.functional.one_hot(targets, 5).float() * 100
    scores.reset()
    scores.update(right, targets)
    assert scores.compute()["solved"] == scores.compute()["accuracy"] == 1
    assert (problem.chosen(right) == targets).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Adding(1), "length of Adding must be at least 2, got 1"),
        (lambda: Copying(delay=0), "delay of Copying must be at least 1, got 0"),
        (lambda: Copying(alphabet=0), "alphabet of Copying must be at least 1"),
    ],
)
def test_impossible_problems(make, words):
    with pytest.raises(ValueError, match=words):
        make()
