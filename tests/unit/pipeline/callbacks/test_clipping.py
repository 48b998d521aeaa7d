"""Norms and shares of clipped updates, by hand."""

import pytest
import torch

from pipeline.callbacks.clipping import Clipping


def weights(*gradients):
    found = []
    for gradient in gradients:
        weight = torch.nn.Parameter(torch.zeros(len(gradient)))
        weight.grad = torch.tensor(gradient)
        found.append(weight)
    return [*found, torch.nn.Parameter(torch.zeros(1))]  # the last one has no gradient


@pytest.mark.parametrize(
    ("by_value", "expected"),
    # Norms 5, 4.24 and 3, largest elements 4, 3 and 3, with a limit of 3.5.
    [(False, 2 / 3), (True, 1 / 3)],
)
def test_the_share_of_updates_over_the_limit(by_value, expected):
    clipping = Clipping(3.5, by_value)
    updates = [([3.0], [-4.0]), ([3.0], [3.0]), ([0.0], [3.0])]
    for gradients in updates:
        clipping.before(weights(*gradients))
    found = clipping.after(weights([0.6], [0.8]))
    assert found == {
        "train/grad_norm_clipped": pytest.approx(1.0),
        "train/clipped_share": pytest.approx(expected),
    }
    clipping.before(weights([1.0]))
    assert clipping.after(weights([1.0]))["train/clipped_share"] == 0  # since the last call


@pytest.mark.parametrize(("limit", "share"), [(4.9, 1), (5.0, 0)])
def test_the_norm_is_euclidean_and_may_equal_the_limit(limit, share):
    clipping = Clipping(limit, by_value=False)
    clipping.before(weights([3.0], [4.0]))
    assert clipping.after(weights())["train/clipped_share"] == share


@pytest.mark.parametrize("limit", [None, 0, 0.0])
def test_without_a_limit_there_is_no_share(limit):
    clipping = Clipping(limit, by_value=False)
    clipping.before(weights([3.0, 4.0]))
    assert clipping.after(weights([3.0, 4.0])) == {"train/grad_norm_clipped": 5.0}


def test_without_gradients_there_is_nothing():
    clipping = Clipping(1.0, by_value=False)
    clipping.before(weights())
    assert clipping.after(weights()) == {}
