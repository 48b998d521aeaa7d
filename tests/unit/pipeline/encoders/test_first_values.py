"""First values of the encoders beyond the lectures, matrix by matrix."""

import math
import re
from functools import partial

import pytest
import torch

from pipeline.encoders import (
    IRNN,
    LSTM,
    QRNN,
    SLSTM,
    SRU,
    CoupledLSTM,
    IdentityInitializer,
    MinGRU,
    MinLSTM,
    MogrifierLSTM,
    Orthogonal,
    Uniform,
)

KINDS = {
    "coupled": CoupledLSTM,
    "mogrifier": MogrifierLSTM,
    "mogrifier-low-rank": partial(MogrifierLSTM, rank=3),
    "slstm": SLSTM,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "qrnn": QRNN,
    "qrnn-window": partial(QRNN, pooling="ifo", window=2),
    "sru": SRU,
    "irnn": IRNN,
}


def leaves(encoder):
    return [part.weights for part in encoder.modules() if hasattr(part, "weight_dropout")]


def bound_of(matrix):
    return math.sqrt(6 / sum(matrix.shape))  # Glorot and Bengio 2010, equation 16


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "irnn"])
def test_default(kind):
    """Each gate's recurrent matrix orthogonal, other matrices Xavier, forget biases 1, others 0."""
    for weights in leaves(KINDS[kind](7, 15, 2, bidirectional=True)):
        count = len(weights.gates)
        for matrix in (*weights.input.detach().chunk(count), *weights.others):
            assert 0.7 * bound_of(matrix) < matrix.abs().max() <= bound_of(matrix)
        bias = weights.input_bias.detach().clone()
        if weights.recurrent is not None:
            for block in weights.recurrent.detach().chunk(count):
                torch.testing.assert_close(block @ block.T, torch.eye(15))
            bias += weights.recurrent_bias.detach()
        expected = {gate: [1.0 if gate == "forget" else 0.0] * 15 for gate in weights.gates}
        assert {g: b.tolist() for g, b in zip(weights.gates, bias.chunk(count), strict=True)} == (
            expected
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("initializer", [Uniform(0.3), Uniform(None)], ids=["0.3", "torch's"])
def test_uniform_draws_every_parameter(kind, initializer):
    torch.manual_seed(1)
    encoder = KINDS[kind](50, 60, 2, initializer=initializer)
    bound = initializer.scale or 60**-0.5
    for name, parameter in encoder.named_parameters():
        values = parameter.detach() / bound
        assert -1 <= values.min() < -0.8, name
        assert 0.8 < values.max() <= 1, name


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_all_parameters(kind):
    encoder = KINDS[kind](3, 4, 2)
    seen = {id(tensor) for weights in leaves(encoder) for tensor in weights.tensors}
    assert seen == {id(parameter) for parameter in encoder.parameters()}


@pytest.mark.parametrize("kind", [IRNN, partial(LSTM, initializer=IdentityInitializer(0.5, 0.2))])
def test_identity(kind):
    torch.manual_seed(1)
    scale, std = (1.0, 0.001) if kind is IRNN else (0.5, 0.2)
    for weights in leaves(kind(80, 90, 2)):
        for block in weights.recurrent.chunk(len(weights.gates)):
            assert torch.equal(block, scale * torch.eye(90))
        assert not weights.input_bias.any()
        assert not weights.recurrent_bias.any()
        # 7,200 draws or more: a standard error of 0.8 % of the deviation, 1.2 % of the mean.
        assert weights.input.std().item() == pytest.approx(std, rel=0.05)
        assert abs(weights.input.mean().item()) < 0.06 * std


def test_identity_without_a_recurrent_matrix_does_the_rest():
    torch.manual_seed(1)
    (weights,) = leaves(MinGRU(80, 90, initializer=IdentityInitializer(input_std=0.1)))
    assert weights.input.std().item() == pytest.approx(0.1, rel=0.05)
    assert not weights.input_bias.any()


def test_an_irnn_takes_another_initializer():
    (weights,) = leaves(IRNN(3, 4, initializer=Orthogonal()))
    assert not torch.equal(weights.recurrent, torch.eye(4))


def test_identity_refuses_no_width():
    message = re.escape("input_std must be above 0, got 0.0")
    with pytest.raises(ValueError, match=f"^{message}$"):
        IdentityInitializer(input_std=0.0)
