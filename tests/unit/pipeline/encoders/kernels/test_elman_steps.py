"""The own steps of a simple recurrent network on a CPU: their values, and when they run."""

import pytest
import torch
from torch import nn

from pipeline.encoders import Elman, ElmanCell, Fused, Unrolled
from tests.unit.pipeline.encoders.kernels.test_gru_steps import LENGTHS, TIME, row_by_row

FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu}


def fused(nonlinearity="relu"):
    return Fused(nn.RNN(4, 5, nonlinearity=nonlinearity, batch_first=True))


def oracle_of(leaf):
    """A loop over the cell with the weights of `leaf`."""
    cell = ElmanCell(leaf.input_size, leaf.output_size, FUNCTIONS[leaf.kernel.nonlinearity])
    unrolled = Unrolled(cell).to(leaf.weights.input.dtype)
    with torch.no_grad():
        for ours, theirs in zip(unrolled.weights[:4], leaf.weights[:4], strict=True):
            if ours is not None:
                ours.copy_(theirs)
        if unrolled.weights.recurrent_bias is None:
            unrolled.weights.input_bias.add_(leaf.weights.recurrent_bias)
    return unrolled


@pytest.mark.parametrize("nonlinearity", FUNCTIONS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)], ids=["f64", "f32"]
)
@pytest.mark.parametrize("lengths", [None, LENGTHS, [TIME] * 6, [4] * 6, [0] * 6], ids=str)
def test_rows_of_any_lengths_are_the_cell_on_each_row(lengths, dtype, tolerance, nonlinearity):
    torch.manual_seed(1)
    leaf = fused(nonlinearity).to(dtype)
    unrolled = oracle_of(leaf)
    inputs, start = torch.randn(6, TIME, 4, dtype=dtype), torch.randn(6, 5, dtype=dtype)
    real = lengths or [TIME] * 6
    mask = (torch.arange(TIME) < torch.tensor(real).unsqueeze(1)).unsqueeze(-1)
    with torch.no_grad():
        states, (final,) = leaf(inputs, lengths and torch.tensor(lengths), (start,))
        expected, expected_final = row_by_row(unrolled, inputs, real, start)
    results = (states * mask, final), (expected * mask, expected_final)
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("nonlinearity", FUNCTIONS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=str)
def test_autocast_multiplies_in_bfloat16(lengths, nonlinearity):
    torch.manual_seed(1)
    encoder = Elman(4, 8, num_layers=2, bidirectional=True, nonlinearity=nonlinearity)
    inputs = torch.randn(6, TIME, 4)
    lengths = lengths and torch.tensor(lengths)
    ends = torch.full((6, 1), TIME) if lengths is None else lengths.unsqueeze(1)
    real = torch.arange(TIME) < ends
    with torch.no_grad():
        exact = encoder(inputs, lengths).states
        with torch.autocast("cpu", torch.bfloat16):
            states = encoder(inputs, lengths).states
            assert runs_steps(encoder, inputs, lengths)
    assert states.dtype == torch.bfloat16
    torch.testing.assert_close(states[real].float(), exact[real], rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("steps", "own"), [(4, True), (3, False)])
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}])
def test_where_they_run(settings, steps, own):
    encoder, inputs = Elman(4, 6, **settings), torch.randn(2, steps, 4)
    assert not runs_steps(encoder, inputs, None)  # they have no gradient
    with torch.no_grad():
        assert runs_steps(encoder, inputs, None) is own
        assert runs_steps(encoder, inputs, torch.tensor([steps, 2])) is own


def runs_steps(encoder, inputs, lengths):
    with torch.profiler.profile() as profile:
        encoder(inputs, lengths)
    keys = {event.key for event in profile.key_averages()}
    return not {"aten::rnn_tanh", "aten::rnn_relu"} & keys


def test_a_hook_on_the_kernel_is_called():
    leaf, seen = fused(), []
    leaf.kernel.register_forward_hook(lambda *_: seen.append(1))
    with torch.no_grad():
        leaf(torch.randn(2, TIME, 4))
    assert seen == [1]
