"""Weight dropout against the formulas, with the mask given."""

import warnings
from functools import partial

import pytest
import torch
from torch import nn

from pipeline.encoders import (
    GRU,
    LSTM,
    CoupledLSTMCell,
    Elman,
    ElmanCell,
    Fused,
    GRUCell,
    LSTMCell,
    MogrifierLSTMCell,
    SLSTMCell,
    Unrolled,
)
from pipeline.encoders.testing import assert_laws
from tests.examples import autocast_or_not, value_error

CHANCE = 0.4
LEAVES = {
    "elman kernel": lambda chance: Fused(nn.RNN(3, 5, batch_first=True), chance),
    "elman loop": lambda chance: Unrolled(ElmanCell(3, 5, torch.tanh), chance),
    "gru kernel": lambda chance: Fused(nn.GRU(3, 5, batch_first=True), chance),
    "gru loop": lambda chance: Unrolled(GRUCell(3, 5, "before"), chance),
    "lstm kernel": lambda chance: Fused(nn.LSTM(3, 5, batch_first=True), chance),
    "lstm loop": lambda chance: Unrolled(LSTMCell(3, 5), chance),
    "coupled": lambda chance: Unrolled(CoupledLSTMCell(3, 5), chance),
    "mogrifier": lambda chance: Unrolled(MogrifierLSTMCell(3, 5), chance),
    "slstm": lambda chance: Unrolled(SLSTMCell(3, 5), chance),
}
KINDS = {"elman": Elman, "gru": GRU, "gru-before": partial(GRU, reset="before"), "lstm": LSTM}


def mask_of_next_call(shape, seed):
    """What a call after `torch.manual_seed(seed)` draws: 0, or 1 / (1 - chance)."""
    torch.manual_seed(seed)
    mask = nn.functional.dropout(torch.ones(shape, dtype=torch.float64), CHANCE)
    torch.manual_seed(seed)
    assert 0 < (mask == 0).sum() < mask.numel()
    assert mask.max().item() == pytest.approx(1 / (1 - CHANCE))
    return mask


@pytest.mark.parametrize("loop", [False, True], ids=["kernel", "loop"])
def test_the_lstm_retyped_with_its_mask(loop):
    leaf = LEAVES["lstm loop" if loop else "lstm kernel"](CHANCE).double()
    inputs = torch.randn(2, 4, 3, dtype=torch.float64)
    mask = mask_of_next_call((20, 5), seed=7)
    states, (hidden, memory) = leaf(inputs)
    matrix, recurrent, bias, recurrent_bias = leaf.weights[:4]
    h = c = torch.zeros(2, 5, dtype=torch.float64)
    for step in range(4):
        total = inputs[:, step] @ matrix.T + bias + h @ (mask * recurrent).T + recurrent_bias
        i, f, g, o = total.split(5, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        torch.testing.assert_close(states[:, step], h)
    torch.testing.assert_close((hidden, memory), (h, c))


@pytest.mark.parametrize("kind", LEAVES)
def test_one_call_is_an_undropped_leaf_with_those_weights(kind):
    """Its gradient is the other's times the mask, so a dropped weight gets none."""
    torch.manual_seed(1)
    leaf, plain = LEAVES[kind](CHANCE).double(), LEAVES[kind](0.0).double()
    plain.load_state_dict(leaf.state_dict())
    inputs, signal = (torch.randn(2, 6, size, dtype=torch.float64) for size in (3, 5))
    mask = mask_of_next_call(leaf.weights.recurrent.shape, seed=8)
    states, carry = leaf(inputs)
    with torch.no_grad():
        plain.weights.recurrent.mul_(mask)
    expected = plain(inputs)
    torch.testing.assert_close((states, carry), tuple(expected))
    ours = torch.autograd.grad((states * signal).sum(), leaf.weights[:4])
    theirs = list(torch.autograd.grad((expected.states * signal).sum(), plain.weights[:4]))
    theirs[1] = theirs[1] * mask
    torch.testing.assert_close(ours, tuple(theirs))
    assert not ours[1][mask == 0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_two_calls_differ_and_evaluation_is_undropped(kind):
    torch.manual_seed(2)
    make = partial(KINDS[kind], 3, 5, num_layers=2, bidirectional=True)
    encoder, plain = make(weight_dropout=CHANCE), make()
    plain.load_state_dict(encoder.state_dict())  # the names do not tell the chance
    inputs = torch.randn(2, 4, 3)
    before = {name: p.clone() for name, p in encoder.named_parameters()}
    assert not torch.equal(encoder(inputs).states, encoder(inputs).states)
    assert all(torch.equal(before[name], p) for name, p in encoder.named_parameters())
    assert torch.equal(encoder.eval()(inputs).states, plain.eval()(inputs).states)


def test_the_first_step_knows_no_recurrent_weight():
    """From a carry of zeros only biases and inputs count: no bias is dropped."""
    encoder = LSTM(3, 5, weight_dropout=0.9)
    inputs = torch.randn(2, 1, 3)
    torch.testing.assert_close(encoder(inputs).states, encoder.eval()(inputs).states)


@pytest.mark.parametrize("kind", KINDS)
def test_laws(kind):
    assert_laws(partial(KINDS[kind], 3, 5, num_layers=2, weight_dropout=0.5, last_size=2))


@autocast_or_not
def test_the_lstm_trains_on_onednn_without_a_warning(autocast):
    encoder = LSTM(4, 6, num_layers=2, weight_dropout=0.5)
    inputs = torch.randn(3, 7, 4)
    with (
        warnings.catch_warnings(),
        torch.profiler.profile() as profile,
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        warnings.simplefilter("error")
        encoder(inputs).states.float().sum().backward()
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts.get("aten::mkldnn_rnn_layer_backward", 0) == 2
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.gpu
def test_cudnn_finds_the_weights_in_one_piece():
    encoder = LSTM(4, 6, num_layers=2, weight_dropout=0.5).cuda()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder(torch.randn(3, 7, 4).cuda()).states.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("chance", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("kind", KINDS)
def test_impossible_chances(kind, chance):
    with value_error(f"weight_dropout must be at least 0 and below 1, got {chance}"):
        KINDS[kind](3, 5, weight_dropout=chance)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_last_layer_of_its_own_size(kind, bidirectional):
    encoder = KINDS[kind](3, 7, num_layers=3, bidirectional=bidirectional, last_size=2)
    ways = 1 + bidirectional
    sizes = [(layer.input_size, layer.output_size) for layer in encoder.layers.layers]
    assert sizes == [(3, 7 * ways), (7 * ways, 7 * ways), (7 * ways, 2 * ways)]
    assert encoder.output_size == 2 * ways
    assert KINDS[kind](3, 7, last_size=2).output_size == 2


def test_last_sizes_that_cannot_be():
    with pytest.raises(ValueError, match=r"^last_size must be at least 1, got 0$"):
        LSTM(3, 5, last_size=0)
