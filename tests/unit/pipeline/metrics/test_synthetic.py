"""Scores of the synthetic problems, counted by hand over two batches."""

import math

import pytest
import torch

from pipeline.metrics import CopyScores, SumScores


def test_errors_of_both_signs_are_counted_over_all_batches():
    metric = SumScores()
    metric.update(torch.tensor([[[1.05]], [[0.5]], [[1.5]]]), torch.tensor([[1.0], [1.0], [1.0]]))
    metric.update(torch.tensor([[[2.0]]]), torch.tensor([[2.0]]))
    found = {name: float(value) for name, value in metric.compute().items()}
    mse = (0.05**2 + 0.5**2 + 0.5**2 + 0) / 4
    assert found == {"mse": pytest.approx(mse), "accuracy": 0.5, "solved": 0.0}


@pytest.mark.parametrize(("error", "accuracy", "solved"), [(0.125, 0, 0), (0.0625, 1, 1)])
def test_an_error_below_the_tolerance_is_correct(error, accuracy, solved):
    metric = SumScores()
    metric.update(torch.tensor([[[1.0 + error]], [[1.0 - error]]]), torch.ones(2, 1))
    found = metric.compute()
    assert (found["accuracy"], found["solved"]) == (accuracy, solved)
    assert found["mse"] == error**2


def test_only_the_last_symbols_are_to_be_copied():
    """Two symbols of four steps: the first step of the last two is wrong."""
    logits = torch.full((1, 4, 3), 0.0)
    targets, answers = torch.tensor([[0, 0, 1, 2]]), [0, 0, 2, 2]
    for step, answer in enumerate(answers):
        logits[0, step, answer] = 2.0
    metric = CopyScores(num_symbols=2)
    metric.update(logits, targets)
    normalizer = math.log(math.exp(2.0) + 2)
    nll = (3 * (normalizer - 2.0) + normalizer) / 4
    assert {name: float(value) for name, value in metric.compute().items()} == {
        "nll": pytest.approx(nll),
        "accuracy": 0.5,
        "solved": 0.0,
    }
    metric.update(logits[:, :2], targets[:, :2])  # two more symbols, both right
    assert metric.compute()["accuracy"] == 0.75
    assert metric.compute()["nll"] == pytest.approx((5 * (normalizer - 2) + normalizer) / 6)


@pytest.mark.parametrize(("num_wrong", "solved"), [(1, 1), (2, 0)])
def test_99_of_100_symbols_are_a_solution(num_wrong, solved):
    targets = torch.ones(1, 100, dtype=torch.long)
    logits = torch.tensor([0.0, 1.0]).repeat(1, 100, 1)
    logits[0, :num_wrong] = torch.tensor([1.0, 0.0])
    metric = CopyScores(num_symbols=100)
    metric.update(logits, targets)
    assert metric.compute()["solved"] == solved


def test_each_step_has_the_logits_of_its_own():
    metric = CopyScores(num_symbols=1)
    metric.update(torch.tensor([[[0.0, 1.0], [0.0, 3.0], [2.0, 0.0]]]), torch.tensor([[1, 1, 1]]))
    nll = sum(math.log1p(math.exp(-margin)) for margin in (1, 3, -2)) / 3
    assert metric.compute()["nll"] == pytest.approx(nll, rel=1e-12)
