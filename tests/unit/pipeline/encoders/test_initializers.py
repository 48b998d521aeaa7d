"""First values, as they are in the encoders built with them."""

import math
from functools import partial

import pytest
import torch

from pipeline.encoders import IRNN, LSTM, IdentityInitializer, LSTMCell, MinGRU, Orthogonal, Uniform
from tests.examples import value_error
from tests.unit.pipeline.encoders.test_laws import KINDS


def leaves(encoder):
    return [part.weights for part in encoder.modules() if hasattr(part, "weight_dropout")]


def bound_of(matrix):
    return math.sqrt(6 / sum(matrix.shape))  # Glorot and Bengio 2010, equation 16


def gate(weights, name):
    """The four blocks of a gate: W, U and the two biases."""
    count, index = len(weights.gates), weights.gates.index(name)
    return [tensor.detach().chunk(count)[index] for tensor in weights[:4]]


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


@pytest.mark.parametrize("forget_bias", [1.0, -2.5])
def test_an_lstm_of_small_weights_forgets_as_its_bias_says(forget_bias):
    """With all matrices 0 the memory is scaled by sigmoid(forget_bias), whatever holds the bias."""
    encoder = LSTM(3, 4, initializer=Orthogonal(forget_bias))
    (leaf,) = leaves(encoder)
    with torch.no_grad():
        leaf.input.zero_()
        leaf.recurrent.zero_()
    memory = torch.randn(2, 4)
    carry = encoder(torch.randn(2, 1, 3), carry=((torch.zeros(2, 4), memory),)).carry
    torch.testing.assert_close(carry[0][1], memory / (1 + math.exp(-forget_bias)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("initializer", [Uniform(0.3), Uniform(None)], ids=["0.3", "torch's"])
def test_uniform_draws_every_parameter(kind, initializer):
    torch.manual_seed(1)
    encoder = KINDS[kind](50, 60, 2, bidirectional=True, initializer=initializer)
    bound = initializer.scale or 60**-0.5
    for name, parameter in encoder.named_parameters():
        values = parameter.detach() / bound
        # The mean of n draws has a standard error of 0.577 / sqrt(n).
        assert -1 <= values.min() < -0.8, name
        assert 0.8 < values.max() <= 1, name
        assert abs(values.mean()) < 5 * 0.577 / math.sqrt(values.numel()), name
    total = sum(weights.input_bias for weights in leaves(encoder))
    assert total.unique().numel() == total.numel()


def test_uniform_without_a_scale_is_what_torch_starts_with():
    """The same numbers, layer by layer: torch draws the four parameters in this order too."""
    torch.manual_seed(2)
    ours = LSTM(5, 16, num_layers=2, last_size=4, initializer=Uniform(None))
    scales = [leaf.recurrent.abs().max().item() for leaf in leaves(ours)]
    assert scales == pytest.approx([1 / 4, 1 / 2], rel=0.02)
    torch.manual_seed(3)
    Uniform(None)(leaves(ours)[0])
    torch.manual_seed(3)
    theirs = torch.nn.LSTM(5, 16)
    for left, right in zip(leaves(ours)[0][:4], theirs.parameters(), strict=True):
        assert torch.equal(left, right)


def test_uniform_refuses_no_width():
    with value_error("scale must be above 0, got 0.0"):
        Uniform(0.0)


@pytest.mark.parametrize("initializer", [None, Orthogonal(), Uniform(0.1)])
def test_a_seed_gives_the_same_values(initializer):
    def values(seed):
        torch.manual_seed(seed)
        return LSTM(3, 4, 2, initializer=initializer).state_dict()

    torch.testing.assert_close(values(7), values(7), rtol=0, atol=0)
    assert any(not torch.equal(values(7)[key], values(8)[key]) for key in values(7))


def test_a_bare_cell_is_initialised():
    torch.manual_seed(1)
    cell = LSTMCell(3, 4)
    torch.testing.assert_close(
        gate(cell.weights, "output")[1] @ gate(cell.weights, "output")[1].T, torch.eye(4)
    )
    assert gate(cell.weights, "forget")[2].tolist() == [1.0] * 4


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
    with value_error("input_std must be above 0, got 0.0"):
        IdentityInitializer(input_std=0.0)
