"""Kernels against loops, precision, and what a leaf refuses."""

import pytest
import torch
from torch import nn

from pipeline.encoders import (
    GRU,
    LSTM,
    Elman,
    ElmanCell,
    Fused,
    GRUCell,
    LSTMCell,
    Unrolled,
    detach_carry,
)
from tests.examples import autocast_or_not, value_error

PAIRS = {
    "elman-tanh": (
        lambda i, h: nn.RNN(i, h, nonlinearity="tanh", batch_first=True),
        lambda i, h: ElmanCell(i, h, torch.tanh),
    ),
    "elman-relu": (
        lambda i, h: nn.RNN(i, h, nonlinearity="relu", batch_first=True),
        lambda i, h: ElmanCell(i, h, torch.relu),
    ),
    "gru": (lambda i, h: nn.GRU(i, h, batch_first=True), lambda i, h: GRUCell(i, h, "after")),
    "lstm": (lambda i, h: nn.LSTM(i, h, batch_first=True), LSTMCell),
}


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)], ids=["f64", "f32"]
)
def test_fused_is_unrolled(kind, dtype, tolerance):
    # float32 as well, since the LSTM's oneDNN kernel, the one that trains, has no float64.
    torch.manual_seed(1)
    kernel, cell = (make(4, 6) for make in PAIRS[kind])
    fused, unrolled = Fused(kernel).to(dtype), Unrolled(cell).to(dtype)
    with torch.no_grad():
        for ours, theirs in zip(unrolled.weights[:4], fused.weights[:4], strict=True):
            ours.copy_(theirs)
    inputs = torch.randn(3, 7, 4, dtype=dtype)
    carry = tuple(torch.randn(3, 6, dtype=dtype) for _ in range(fused.num_parts))
    signal = torch.randn(3, 7, 6, dtype=dtype)
    results = []
    for leaf in (fused, unrolled):
        read = inputs.clone().requires_grad_()
        start = tuple(part.clone().requires_grad_() for part in carry)
        states, after = leaf(read, carry=start)
        total = (states * signal).sum() + sum((part**2).sum() for part in after)
        gradients = torch.autograd.grad(total, (read, *start, *leaf.weights[:4]))
        results.append((states, after, gradients))
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


@autocast_or_not
@pytest.mark.parametrize("carried", [False, True])
def test_the_lstm_trains_on_onednn(autocast, carried):
    encoder = LSTM(4, 6, num_layers=2, dropout=0.1)
    inputs = torch.randn(3, 7, 4)
    with (
        torch.profiler.profile() as profile,
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        carry = detach_carry(encoder(inputs).carry) if carried else None
        encoder(inputs, carry=carry).states.float().sum().backward()
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts.get("aten::mkldnn_rnn_layer", 0) >= 2
    assert counts.get("aten::mkldnn_rnn_layer_backward", 0) == 2


def test_a_strided_carry_is_read_rightly():
    encoder = LSTM(4, 6)
    inputs, both = torch.randn(3, 5, 4), torch.randn(3, 12)
    strided = encoder(inputs, carry=(both.chunk(2, dim=1),))
    packed = encoder(inputs, carry=(tuple(part.contiguous() for part in both.chunk(2, dim=1)),))
    torch.testing.assert_close(strided, packed)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 5), "LSTM has input_size 4 and expects inputs [batch time 4], got [2, 3, 5]"),
        ((2, 0, 4), "LSTM expects at least one step, got inputs [2, 0, 4]"),
    ],
)
def test_wrong_inputs(shape, message):
    with value_error(message):
        LSTM(4, 6)(torch.zeros(*shape))


@pytest.mark.parametrize(
    ("carry", "message"),
    [
        (
            GRU(4, 6).initial_carry(10),
            "Fused expects a carry of 2 tensors [batch=10 hidden=6], got [[10, 6]]; "
            "initial_carry(10) returns a new one",
        ),
        ((), "Stacked expects a carry of 1 parts, one for each layer, got 0"),
    ],
)
def test_wrong_carry(carry, message):
    with value_error(message):
        LSTM(4, 6)(torch.zeros(10, 3, 4), carry=carry)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
        ({"input_size": -1}, "input_size must be at least 1, got -1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
        ({"dropout": float("nan")}, "dropout must be at least 0 and below 1, got nan"),
    ],
)
@pytest.mark.parametrize("kind", [Elman, GRU, LSTM])
def test_wrong_settings(kind, settings, message):
    with value_error(message):
        kind(**({"input_size": 4, "hidden_size": 6} | settings))


@pytest.mark.parametrize(
    "kernel",
    [
        nn.LSTM(4, 6),
        nn.LSTM(4, 6, 2, batch_first=True),
        nn.LSTM(4, 6, batch_first=True, bidirectional=True),
        nn.LSTM(4, 6, batch_first=True, bias=False),
        nn.LSTM(4, 6, batch_first=True, proj_size=2),
    ],
    ids=str,
)
def test_fused_refuses_other_kernels(kernel):
    with pytest.raises(
        ValueError, match=r"Fused expects nn\.RNN, nn\.GRU or nn\.LSTM of one layer"
    ):
        Fused(kernel)
