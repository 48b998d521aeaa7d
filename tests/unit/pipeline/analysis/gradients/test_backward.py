"""What reaches earlier states: against loops by hand, finite differences and powers of a matrix."""

import math

import pytest
import torch

from pipeline.analysis.gradients import analyze
from pipeline.analysis.gradients.backward import factor_per_step, half_life
from pipeline.decoders import CRF
from pipeline.encoders import GRU, LSTM, Bidirectional, Elman, ElmanCell, Stacked, Unrolled
from pipeline.pooling import Mean
from tests.unit.pipeline.analysis.gradients.models import (
    classifier,
    language_model,
    sentences,
    tagger,
    texts,
    window,
)


def nll(model, state, target):
    return -torch.log_softmax(model.head.weight @ state + model.head.bias, dim=0)[target]


def means(rows):
    """Mean over rows at each lag that half of the rows have."""
    depth = max(len(row) for row in rows)
    columns = ([row[lag] for row in rows if lag < len(row)] for lag in range(depth))
    wide = [column for column in columns if 2 * len(column) >= sum(bool(row) for row in rows)]
    return [sum(column) / len(column) for column in wide]


def test_two_elman_layers_by_hand():
    model = language_model(Elman(3, 4, num_layers=2))
    batch = window(rows=3, time=6)
    low, high = (
        (part.inner if hasattr(part, "inner") else part) for part in model.encoder.layers.layers
    )
    expected = [], []
    for ids, targets in zip(batch.tokens, batch.targets, strict=True):
        first = second = torch.zeros(4, dtype=torch.float64)
        seen = [], []
        for token in ids:
            w, u, b, c, *_ = low.weights
            first = torch.tanh(w @ model.embedding.weight[token] + b + u @ first + c)
            w, u, b, c, *_ = high.weights
            second = torch.tanh(w @ first + b + u @ second + c)
            seen[0].append(first)
            seen[1].append(second)
        loss = nll(model, second, targets[-1])
        for layer in (0, 1):
            found = torch.autograd.grad(loss, seen[layer], retain_graph=True)
            expected[layer].append([part.norm().item() for part in reversed(found)])
    seen = analyze(model, batch, lags=50)
    assert [layer.name for layer in seen.layers] == ["layer 1", "layer 2"]
    for layer in (0, 1):
        assert seen.layers[layer].gradients.keys() == {"state"}
        state = seen.layers[layer].gradients["state"]
        assert state == pytest.approx(means(expected[layer]), rel=1e-10)
        assert seen.layers[layer].rows == [3] * 6


def test_an_lstm_by_hand():
    """The state with the cell held still, and the cell with the state held still."""
    model = language_model(LSTM(3, 4))
    (leaf,) = model.encoder.layers.layers
    w, u, b, c, *_ = leaf.weights
    batch = window(rows=2, time=5)
    expected = {"state": [], "cell": []}
    for ids, targets in zip(batch.tokens, batch.targets, strict=True):
        hidden = memory = torch.zeros(4, dtype=torch.float64)
        seen = {"state": [], "cell": []}
        for token in ids:
            i, f, g, o = (w @ model.embedding.weight[token] + b + u @ hidden + c).chunk(4)
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * memory.tanh()
            memory = memory.clone()  # what the next step reads
            seen["state"].append(hidden)
            seen["cell"].append(memory)
        loss = nll(model, hidden, targets[-1])
        for name, parts in seen.items():
            held = {"retain_graph": True, "materialize_grads": True, "allow_unused": True}
            found = torch.autograd.grad(loss, parts, **held)
            expected[name].append([part.norm().item() for part in reversed(found)])
    found = analyze(model, batch, lags=50).layers[0].gradients
    assert found.keys() == {"state", "cell"}
    for name in expected:
        assert found[name] == pytest.approx(means(expected[name]), rel=1e-10)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_linear_network_is_a_power_of_its_matrix(scale):
    """relu where all is positive: dh_t/dh_k = W^(t-k), which decays, stays or explodes."""
    encoder = Elman(3, 4, nonlinearity="relu")
    model = language_model(encoder)
    with torch.no_grad():
        weights = encoder.layers.layers[0].weights
        weights.input.abs_()
        weights.recurrent.copy_(scale * torch.eye(4))
        model.embedding.weight.abs_()
    layer = analyze(model, window(time=8), lags=50).layers[0]
    shares = [layer.share(lag) for lag in range(8)]
    assert shares == pytest.approx([scale**lag for lag in range(8)], rel=1e-10)
    assert layer.factor == pytest.approx(scale, rel=1e-10)
    assert layer.half_life == (pytest.approx(1.0) if scale == 0.5 else None)
    assert layer.jacobian_products == pytest.approx(shares, rel=1e-10)
    assert layer.jacobian_steps == pytest.approx([scale] * 7, rel=1e-10)
    assert layer.bound == pytest.approx(scale, rel=1e-10)  # tight here
    assert layer.spectral_radius == {"candidate": pytest.approx(scale, rel=1e-10)}


@pytest.mark.parametrize("from_right", [False, True])
def test_finite_differences_in_both_directions(from_right):
    """Moves a state of one direction by hand, reading on from there, each row by itself."""
    torch.manual_seed(3)
    cells = [Unrolled(ElmanCell(3, 4, torch.tanh)) for _ in range(2)]
    model = tagger(Stacked([Bidirectional(*cells)]))
    batch = sentences((6, 4, 1))
    leaf = cells[from_right]
    vectors = model.inputs(batch.words, batch.columns, None).detach()
    found = analyze(model, batch, lags=50).layers[from_right].gradients["state"]
    rows = [norms_by_moving(model, batch, vectors, leaf, row, from_right) for row in range(3)]
    assert found == pytest.approx(means(rows), rel=1e-6)


def norms_by_moving(model, batch, vectors, leaf, row, from_right):
    length = int(batch.lengths[row])
    order = range(length - 1, -1, -1) if from_right else range(length)
    others = model.encoder(vectors[row : row + 1, :length]).states[0, order[-1]].detach()
    mine = slice(4, 8) if from_right else slice(0, 4)

    def loss(moved=-1, by=None):
        hidden = torch.zeros(1, 4, dtype=torch.float64)
        for place, token in enumerate(order):
            hidden = leaf(vectors[row, token].view(1, 1, 3), carry=(hidden,)).carry[0]
            if place == moved:
                hidden = hidden + by
        states = others.clone()
        states[mine] = hidden[0]
        emissions = model.decoder.linear(states)
        return -torch.log_softmax(emissions, dim=-1)[batch.tags[row, order[-1]]].item()

    norms = []
    for place in reversed(range(length)):
        slopes = [
            (loss(place, 1e-5 * axis) - loss(place, -1e-5 * axis)) / 2e-5
            for axis in torch.eye(4, dtype=torch.float64)
        ]
        norms.append(math.hypot(*slopes))
    return norms


def test_frozen_weights_are_looked_through():
    model = language_model(GRU(3, 4))
    open_ = analyze(model, window(), lags=5)
    assert analyze(model.requires_grad_(False), window(), lags=5) == open_


def test_a_crf_is_read_at_one_token_only():
    """Its loss holds all states; what is followed goes by one of them."""
    model = tagger(Elman(3, 4), CRF)
    batch = sentences((5, 3, 2))
    found = analyze(model, batch, lags=50).layers[0].gradients["state"]
    inputs = model.inputs(batch.words, batch.columns, None)
    states = model.encoder(inputs, batch.lengths).states
    (by_states,) = torch.autograd.grad(
        model.decoder.loss(states, batch.tags.clamp(min=0), batch.lengths), states
    )
    last = by_states[torch.arange(3), batch.lengths - 1]
    assert found[0] == pytest.approx(last.norm(dim=1).mean().item(), rel=1e-10)


def test_a_text_is_followed_from_its_end_and_mean_pooling_reaches_every_state():
    encoder = Elman(3, 4)
    with torch.no_grad():
        encoder.layers.layers[0].weights.recurrent.zero_()
    batch = texts((6, 6, 6))
    last = analyze(classifier(encoder), batch, lags=50).layers[0].gradients["state"]
    assert last[0] > 0
    assert last[1:] == [0.0] * 5
    mean = analyze(classifier(encoder, Mean()), batch, lags=50).layers[0].gradients["state"]
    assert mean == pytest.approx([mean[0]] * 6)
    assert mean[0] > 0


def test_rows_without_a_loss_are_left_out():
    model = tagger(Elman(3, 4))
    batch = sentences((5, 5, 3))
    batch.tags[0, 2] = -1  # a type that training lacks
    alone = batch._replace(**{name: getattr(batch, name)[1:] for name in batch._fields[:5]})
    seen, expected = (analyze(model, each, lags=9).layers[0] for each in (batch, alone))
    assert seen.gradients["state"] == pytest.approx(expected.gradients["state"], rel=1e-12)
    assert seen.rows == expected.rows == [2, 2, 2, 1, 1]
    batch.tags[:, 0] = -1
    with pytest.raises(ValueError, match=r"^no row of the batch has a loss to differentiate"):
        analyze(model, batch, lags=9)


def test_factor_and_half_life():
    assert factor_per_step([8.0, 4.0, 2.0, 1.0]) == pytest.approx(0.5)
    assert factor_per_step([1.0, 0.0, 4.0]) == pytest.approx(2.0)  # zeros have no logarithm
    assert factor_per_step([1.0]) is None
    assert factor_per_step([0.0, 0.0]) is None
    assert half_life(0.5) == pytest.approx(1.0)
    assert half_life(0.25) == pytest.approx(0.5)
    assert half_life(1.0) is half_life(2.0) is half_life(None) is None
