"""Connections past an encoder against their formulas, and the stacks made of them."""

import pytest
import torch
from torch import nn

from pipeline.encoders import GRU, LSTM, Dense, Elman, Highway, Identity, Residual, Stacked, Window
from pipeline.encoders.testing import assert_laws
from tests.examples import sigmoid, value_error

INPUTS = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def product(matrix, vector):
    return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in matrix.tolist()]


def steps(wrapped):
    """(what is read, the inner state, the wrapped state) of every step, as lists of floats."""
    inner, outer = wrapped.inner(INPUTS).states, wrapped(INPUTS).states
    for row in range(2):
        for step in range(5):
            yield tuple(part[row, step].tolist() for part in (INPUTS, inner, outer))


def test_residual_adds():
    for read, state, joined in steps(Residual(Elman(3, 3)).double()):
        assert joined == pytest.approx([x + s for x, s in zip(read, state, strict=True)])


def test_residual_with_a_projection():
    wrapped = Residual(Elman(3, 4), project=True).double()
    for read, state, joined in steps(wrapped):
        carried = product(wrapped.projection.weight, read)
        assert joined == pytest.approx([x + s for x, s in zip(carried, state, strict=True)])


@pytest.mark.parametrize("size", [3, 4])
def test_highway_mixes_by_a_gate(size):
    """Srivastava et al. 2015, equation 3: y = H(x) T(x) + x (1 - T(x))."""
    wrapped = Highway(Elman(3, size), project=size != 3, bias=-0.7).double()
    assert wrapped.gate.bias.tolist() == pytest.approx([-0.7] * size)
    for read, state, joined in steps(wrapped):
        carried = read if size == 3 else product(wrapped.projection.weight, read)
        gates = [sigmoid(z - 0.7) for z in product(wrapped.gate.weight, read)]
        expected = [s * g + x * (1 - g) for s, x, g in zip(state, carried, gates, strict=True)]
        assert joined == pytest.approx(expected)


def test_a_highway_carries_at_first():
    torch.manual_seed(1)
    deep = LSTM(8, 8, num_layers=8, skip="highway").double()
    inputs = torch.randn(4, 6, 8, dtype=torch.float64)
    first = deep.layers.layers[0](inputs).states
    share = (deep(inputs).states * first).sum() / (first * first).sum()
    assert share > (1 - sigmoid(-2.0)) ** 7 / 2  # seven gates of about an eighth


def test_dense_puts_the_states_beside_what_is_read():
    for read, state, joined in steps(Dense(Elman(3, 4)).double()):
        assert joined == read + state


@pytest.mark.parametrize(("skip", "wrapper"), [("residual", Residual), ("highway", Highway)])
def test_layers_are_joined_from_the_second_on(skip, wrapper):
    torch.manual_seed(1)
    encoder = GRU(3, 4, 3, skip=skip).double()
    first, second, third = encoder.layers.layers
    assert not isinstance(first, wrapper)
    assert isinstance(second, wrapper)
    one = first(INPUTS).states
    two = second._join(one, second.inner(one).states)
    torch.testing.assert_close(encoder(INPUTS).states, third._join(two, third.inner(two).states))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_dense_layer_reads_all_below(bidirectional):
    """Godin et al. 2017: the stack by hand, its output the inputs and every layer's states."""
    torch.manual_seed(1)
    encoder = GRU(3, 4, 3, bidirectional=bidirectional, skip="dense", last_size=2).double()
    ways = 1 + bidirectional
    assert encoder.output_size == 3 + (4 + 4 + 2) * ways
    seen = INPUTS
    for layer, size in zip(encoder.layers.layers, (4, 4, 2), strict=True):
        states = layer.inner(seen).states
        assert states.shape[-1] == size * ways
        seen = torch.cat([seen, states], dim=-1)
    torch.testing.assert_close(encoder(INPUTS).states, seen)


def test_a_skip_carries_what_dropout_and_normalisation_change():
    """With the layer above silenced, what is left is the skip: all of it, as it was."""
    torch.manual_seed(1)
    encoder = Elman(3, 4, 2, skip="residual", dropout=0.5, normalize=True).double().train()
    below, above = encoder.layers.layers
    for parameter in above.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(encoder(INPUTS).states, below(INPUTS).states)


@pytest.mark.parametrize("skip", ["residual", "highway"])
def test_a_projection_is_made_where_sizes_differ_only(skip):
    encoder = LSTM(3, 5, 3, skip=skip, last_size=4, project=True)
    _, equal, unequal = encoder.layers.layers
    assert equal.projection is None
    assert unequal.projection.weight.shape == (4, 5)
    assert_laws(lambda: LSTM(3, 5, 3, True, skip, last_size=4, project=True))


@pytest.mark.parametrize("wrapper", [Residual, Highway])
def test_unequal_sizes_are_refused(wrapper):
    message = (
        f"{wrapper.__name__} needs an encoder of equal input and output size, got input_size 3 and "
        "output_size 4; project=True adds a learned projection"
    )
    with value_error(message):
        wrapper(LSTM(3, 4))


COMPOSED = {
    "past a whole stack": lambda: Highway(Residual(GRU(3, 3, 2))),
    "past what is not causal": lambda: Dense(LSTM(3, 2, bidirectional=True)),
    "past a window": lambda: Residual(Window(3, 1, 1), project=True),
    "all three": lambda: Stacked(
        [Dense(Elman(3, 2)), Highway(Elman(5, 5)), Residual(Elman(5, 4), project=True)]
    ),
}


@pytest.mark.parametrize("make", COMPOSED.values(), ids=COMPOSED.keys())
def test_laws(make):
    assert_laws(make)


@pytest.mark.parametrize("wrapper", [Residual, Highway, Dense])
def test_they_say_what_the_inner_encoder_is(wrapper):
    assert wrapper(Identity(3)).is_local
    assert wrapper(Identity(3)).is_causal
    assert not wrapper(LSTM(4, 2, bidirectional=True)).is_causal
    assert not wrapper(LSTM(4, 4)).is_local
