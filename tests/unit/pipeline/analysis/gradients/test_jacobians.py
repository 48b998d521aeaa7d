"""Jacobians against derivatives entry by entry, and the bound of the lectures."""

import math

import pytest
import torch

from pipeline.analysis.gradients import analyze
from pipeline.analysis.gradients.jacobians import spectral_norm, spectral_radius, step_jacobian
from pipeline.encoders import GRU, LSTM, Elman
from pipeline.encoders.recurrent import elman_layer, gru_layer
from tests.unit.pipeline.analysis.gradients.models import language_model, window

LEAVES = {
    "tanh": lambda: elman_layer(3, 4, "tanh", 0.0),
    "sigmoid": lambda: elman_layer(3, 4, "sigmoid", 0.0),
    "gru": lambda: gru_layer(3, 4, "after", 0.0),
    "gru before": lambda: gru_layer(3, 4, "before", 0.0),
    "lstm": lambda: LSTM.make_layer(3, 4, 0.0),
}


@pytest.mark.parametrize("name", LEAVES)
def test_entry_by_entry(name):
    torch.manual_seed(2)
    leaf = LEAVES[name]().double()
    step = torch.randn(3, dtype=torch.float64)
    carry = tuple(torch.randn(1, 4, dtype=torch.float64) for _ in range(leaf.num_parts))
    found = step_jacobian(leaf, step, carry)
    size = 4 * leaf.num_parts

    @torch.no_grad()
    def after(numbers):
        parts = tuple(part.view(1, 4) for part in numbers.split(4))
        return torch.cat([part[0] for part in leaf(step.view(1, 1, 3), carry=parts).carry])

    here = torch.cat([part[0] for part in carry])
    moves = 1e-6 * torch.eye(size, dtype=torch.float64)
    columns = [(after(here + move) - after(here - move)) / 2e-6 for move in moves]
    torch.testing.assert_close(found, torch.stack(columns, dim=1), rtol=1e-6, atol=1e-9)


def test_an_elman_jacobian_is_the_formula_of_the_lectures():
    """dh_j/dh_(j-1) = diag(f'(z)) W."""
    torch.manual_seed(2)
    leaf = LEAVES["tanh"]().double()
    step, hidden = torch.randn(3, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    w, u, b, c, *_ = leaf.weights
    slope = 1 - torch.tanh(w @ step + b + u @ hidden[0] + c) ** 2
    expected = torch.diag(slope) @ u
    torch.testing.assert_close(step_jacobian(leaf, step, (hidden,)), expected)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_no_product_is_above_the_bound(nonlinearity):
    encoder = Elman(3, 4, num_layers=2, nonlinearity=nonlinearity)
    model = language_model(encoder)
    with torch.no_grad():
        for leaf in encoder.modules():
            if hasattr(leaf, "weights"):
                leaf.weights.recurrent.normal_()
    for layer in analyze(model, window(time=12), lags=50).layers:
        assert len(layer.jacobian_products) == 12
        assert layer.jacobian_products[0] == 1.0
        assert all(norm <= layer.bound * (1 + 1e-12) for norm in layer.jacobian_steps)
        for lag, norm in enumerate(layer.jacobian_products):
            assert norm <= layer.bound**lag * (1 + 1e-12)
            steps = math.prod(layer.jacobian_steps[:lag])
            assert norm <= steps * 2  # of two rows' means: no product is far above its factors


def test_the_bound_of_each_activation():
    for nonlinearity, slope in (("tanh", 1.0), ("relu", 1.0), ("sigmoid", 0.25)):
        encoder = Elman(3, 4, nonlinearity=nonlinearity)
        with torch.no_grad():
            encoder.layers.layers[0].weights.recurrent.copy_(torch.diag(torch.arange(4.0)))
        layer = analyze(language_model(encoder), window(), lags=5).layers[0]
        assert layer.bound == pytest.approx(3 * slope)
        assert layer.spectral_radius == {"candidate": pytest.approx(3.0)}
    for encoder in (GRU(3, 4), LSTM(3, 4)):
        assert analyze(language_model(encoder), window(), lags=5).layers[0].bound is None


def test_products_are_of_the_real_chain():
    """dh_t/dh_k by differentiating the whole unrolled layer at once."""
    model = language_model(Elman(3, 4))
    batch = window(rows=1, time=6)
    (leaf,) = model.encoder.layers.layers
    vectors = model.embedding(batch.tokens).detach()
    carry, middle = (torch.zeros(1, 4, dtype=torch.float64),), []
    for step in range(6):
        carry = leaf(vectors[:, step : step + 1], carry=carry).carry
        middle.append(carry[0])
    expected = []
    for lag in range(6):
        found = [
            torch.autograd.grad(middle[5][0, unit], middle[5 - lag], retain_graph=True)[0][0]
            for unit in range(4)
        ]
        expected.append(torch.linalg.matrix_norm(torch.stack(found), 2).item())
    assert analyze(model, batch, lags=9).layers[0].jacobian_products == pytest.approx(expected)


def test_norm_and_radius():
    shear = torch.tensor([[0.5, 3.0], [0.0, -0.75]])
    assert spectral_radius(shear) == pytest.approx(0.75)
    square = torch.linalg.eigvalsh(shear.T @ shear)[-1]
    assert spectral_norm(shear) == pytest.approx(math.sqrt(square))
    turn = torch.tensor([[0.0, -2.0], [2.0, 0.0]])  # eigenvalues 2i and -2i
    assert spectral_radius(turn) == pytest.approx(2.0)
    assert math.isnan(spectral_norm(shear * math.nan))
    assert math.isnan(spectral_radius(shear * math.inf))
