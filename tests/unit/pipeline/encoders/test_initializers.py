"""First values, as they are in the encoders built with them."""

import math

import pytest
import torch

from pipeline.encoders import GRU, LSTM, Elman, LSTMCell, Orthogonal, Uniform


def leaves(encoder):
    return [part for part in encoder.modules() if hasattr(part, "weights")]


def gate(weights, name):
    """The four blocks of a gate: W, U and the two biases."""
    count, index = len(weights.gates), weights.gates.index(name)
    return [tensor.detach().chunk(count)[index] for tensor in weights[:4]]


@pytest.mark.parametrize(
    "encoder",
    [
        Elman(7, 5, 2, bidirectional=True),
        Elman(7, 5, nonlinearity="sigmoid"),
        GRU(7, 5, 2),
        GRU(7, 5, reset="before"),
        LSTM(7, 5, 2, bidirectional=True),
    ],
    ids=["elman", "elman-sigmoid", "gru", "gru-before", "lstm"],
)
def test_default_is_orthogonal_and_xavier_gate_by_gate(encoder):
    for leaf in leaves(encoder):
        for name in leaf.weights.gates:
            matrix, recurrent, bias, recurrent_bias = gate(leaf.weights, name)
            torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(5))
            bound = math.sqrt(6 / (matrix.shape[1] + 5))  # Glorot and Bengio 2010, equation 16
            assert 0.8 * bound < matrix.abs().max() <= bound
            total = bias + recurrent_bias
            assert total.tolist() == [1.0 if name == "forget" else 0.0] * 5


@pytest.mark.parametrize("forget_bias", [1.0, -2.5])
def test_an_lstm_of_small_weights_forgets_as_its_bias_says(forget_bias):
    """With all matrices 0 the memory is scaled by sigmoid(forget_bias), whatever holds the bias."""
    encoder = LSTM(3, 4, initializer=Orthogonal(forget_bias))
    (leaf,) = leaves(encoder)
    with torch.no_grad():
        leaf.weights.input.zero_()
        leaf.weights.recurrent.zero_()
    memory = torch.randn(2, 4)
    carry = encoder(torch.randn(2, 1, 3), carry=((torch.zeros(2, 4), memory),)).carry
    torch.testing.assert_close(carry[0][1], memory / (1 + math.exp(-forget_bias)))


@pytest.mark.parametrize("kind", [Elman, GRU, LSTM])
def test_uniform_draws_every_parameter(kind):
    torch.manual_seed(1)
    encoder = kind(50, 60, 2, bidirectional=True, initializer=Uniform(0.3))
    for name, parameter in encoder.named_parameters():
        values = parameter.detach()
        # The extremes of n draws are about 2 * 0.3 / n from the ends; the mean has a standard
        # error of 0.173 / sqrt(n), and the smallest n here is 60.
        assert -0.3 <= values.min() < -0.25, name
        assert 0.25 < values.max() <= 0.3, name
        assert abs(values.mean()) < 5 * 0.173 / math.sqrt(values.numel()), name
    total = sum(leaf.weights.input_bias + leaf.weights.recurrent_bias for leaf in leaves(encoder))
    assert total.unique().numel() == total.numel()


def test_uniform_without_a_scale_is_what_torch_starts_with():
    """The same numbers, layer by layer: torch draws the four parameters in this order too."""
    torch.manual_seed(2)
    ours = LSTM(5, 16, num_layers=2, last_size=4, initializer=Uniform(None))
    scales = [leaf.weights.recurrent.abs().max().item() for leaf in leaves(ours)]
    assert scales == pytest.approx([1 / 4, 1 / 2], rel=0.02)
    torch.manual_seed(3)
    Uniform(None)(leaves(ours)[0].weights)
    torch.manual_seed(3)
    theirs = torch.nn.LSTM(5, 16)
    for left, right in zip(leaves(ours)[0].weights[:4], theirs.parameters(), strict=True):
        assert torch.equal(left, right)


def test_uniform_refuses_no_width():
    with pytest.raises(ValueError, match=r"^scale must be above 0, got 0\.0$"):
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
