"""What the report of gradients says in words."""

import math

import pytest

from pipeline.lens import LayerLook
from pipeline.reports.gradients import explained


def layer(norms, jacobians=()):
    factor = (norms[-1] / norms[0]) ** (1 / (len(norms) - 1))
    half = None if factor >= 1 else -math.log(2) / math.log(factor)
    return LayerLook(
        name="layer 1",
        gradients={"state": norms},
        rows=[4] * len(norms),
        followed="state",
        factor=factor,
        half_life=half,
        jacobian_steps=[],
        jacobian_products=list(jacobians),
        bound=None,
        spectral_radius={},
        gates={},
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (layer([0.5**lag for lag in range(11)]), "the gradient halves every step; 7 steps back"),
        (layer([2.0**lag for lag in range(11)], [1.0, 2.0, 4.0]), "explodes: doubles every step"),
        (layer([2.0**lag for lag in range(11)]), "10 steps back it is 1024 times as large"),
        # Of a stack: a state of the lowest layer reaches a later loss by more and more ways.
        (
            layer([1.5**lag for lag in range(11)], [1.0, 0.9, 0.8]),
            "grows through the layers above and not through time; 10 steps back it is 58 times",
        ),
        (layer([1.0] * 11), "neither vanishes nor explodes; 10 steps back 1 of it is left"),
    ],
)
def test_verdicts(seen, words):
    assert words in explained(seen)
