"""What the report of gradients says in words, and draws."""

import math
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from pipeline.analysis.gradients import LayerGradients
from pipeline.analysis.gradients.analysis import GateStatistics
from pipeline.reports.gradient_page import _gate, _styled
from pipeline.reports.gradients import explained


def layer(norms, jacobians=()):
    factor = (norms[-1] / norms[0]) ** (1 / (len(norms) - 1))
    half = None if factor >= 1 else -math.log(2) / math.log(factor)
    return LayerGradients(
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
        (
            layer([0.5**lag for lag in range(11)]),
            "the gradient halves every step on average; 7 steps back",
        ),
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


def test_a_gate_is_drawn_by_its_mean_and_by_the_shares_that_are_shut_and_open():
    gate = GateStatistics(mean=[0.4, 0.5], low=[0.3, 0.2], high=[0.1, 0.05])
    axes = Figure().subplots()
    _gate(axes, "forget", [replace(layer([1.0, 0.5]), gates={"forget": gate})])
    drawn = {line.get_linestyle(): list(line.get_ydata()) for line in axes.lines}
    assert drawn == {"-": [0.4, 0.5], ":": [0.3, 0.2], "-.": [0.1, 0.05]}


@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_each_layer_has_a_colour_of_its_own_and_both_directions_share_it(count):
    layers = [
        replace(layer([1.0, 0.5]), name=f"layer {number}{way}")
        for number in range(count)
        for way in (", left to right", ", right to left")
    ]
    styles = [style for _, style in _styled(layers)]
    colours = [style["color"] for style in styles]
    assert len(set(colours)) == count
    assert colours[::2] == colours[1::2]
    assert [style["linestyle"] for style in styles[:2]] == ["-", "--"]
