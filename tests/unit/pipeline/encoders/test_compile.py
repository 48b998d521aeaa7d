"""Every encoder can be compiled without graph breaks and exported, with the values of a call.

A graph break cannot hide: `fullgraph=True` turns each into an error.
"""

from functools import partial

import jaxtyping
import pytest
import torch

from pipeline.encoders import GRU, LSTM, Identity, MinGRU, Window
from tests.unit.pipeline.encoders.test_laws import COMPOSED, KINDS

ROWS, STEPS, FEATURES = 3, 2, 3
LENGTHS = torch.tensor([2, 1, 2])
PARTS = {
    "weight dropout": lambda: LSTM(3, 4, weight_dropout=0.5),
    "weight dropout in a loop": lambda: GRU(3, 4, reset="before", weight_dropout=0.5),
    "variational": lambda: GRU(3, 4, 2, dropout=0.5, variational=True),
    "zoneout": lambda: LSTM(3, 4, zoneout=0.2),
    "normalize": lambda: LSTM(3, 4, 2, normalize=True),
    "highway": lambda: LSTM(3, 4, 2, skip="highway"),
    "dense": lambda: LSTM(3, 4, 2, skip="dense"),
    "both directions": lambda: LSTM(3, 4, 2, bidirectional=True),
    "both directions of a scan": lambda: MinGRU(3, 4, bidirectional=True),
    "window": lambda: Window(3, 2, 1, hidden_size=5),
    "window without a hidden layer": lambda: Window(3, 2, 0),
    "identity": lambda: Identity(3),
}
ENCODERS = {**{kind: partial(make, 3, 4) for kind, make in KINDS.items()}, **PARTS, **COMPOSED}
WITHOUT_LENGTHS = ["gru-after", "lstm-coupled", "sru", "both directions", "window", "identity"]
CASES = [
    *(pytest.param(name, LENGTHS, id=f"{name}-padded") for name in ENCODERS),
    *(pytest.param(name, None, id=f"{name}-full") for name in WITHOUT_LENGTHS),
]


@pytest.fixture(autouse=True)
def no_type_checks(monkeypatch):
    """Runs the code that users compile, without the shape checks that tests add."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    torch.compiler.reset()
    # torch refuses `nn.RNN`, `nn.GRU` and `nn.LSTM` in compiled code unless this is set.
    with torch._dynamo.config.patch(allow_rnn=True):
        yield


def real(encoded, lengths):
    """The carry, and the states without those of padded steps, which are unspecified."""
    if lengths is None:
        return tuple(encoded)
    is_real = torch.arange(encoded.states.shape[1]) < lengths.unsqueeze(1)
    return (encoded.states[is_real],)


def assert_equal(found, expected, lengths):
    torch.testing.assert_close(real(found, lengths), real(expected, lengths))


@pytest.mark.parametrize(("name", "lengths"), CASES)
def test_every_encoder_compiles_without_graph_breaks(name, lengths):
    encoder, inputs = ENCODERS[name](), torch.randn(ROWS, STEPS, FEATURES)
    compiled = torch.compile(encoder, fullgraph=True, backend="eager")
    found = []
    for call in (encoder, compiled):  # in training mode
        torch.manual_seed(1)
        found.append(call(inputs, lengths))
    assert_equal(found[1], found[0], lengths)


@pytest.mark.parametrize(("name", "lengths"), CASES)
def test_every_encoder_can_be_exported(name, lengths):
    encoder, inputs = ENCODERS[name]().eval(), torch.randn(ROWS, STEPS, FEATURES)
    program = torch.export.export(encoder, (inputs, lengths), strict=False)
    again = torch.randn(ROWS, STEPS, FEATURES)
    assert_equal(program.module()(again, lengths), encoder(again, lengths), lengths)


@pytest.mark.parametrize("name", ["both directions", "lstm-coupled", "sru"])
def test_gradients_of_compiled_encoders(name):
    encoder, inputs = ENCODERS[name]().double(), torch.randn(ROWS, STEPS, FEATURES).double()
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    carry = encoder(inputs).carry
    found = []
    for call in (encoder, compiled):
        read = inputs.clone().requires_grad_()
        start = tuple(tuple(part.detach().requires_grad_() for part in layer) for layer in carry)
        total = call(read, LENGTHS, start).states[LENGTHS == STEPS].square().sum()
        flat = [part for layer in start for part in layer]
        found.append(torch.autograd.grad(total, [read, *flat, *encoder.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "any_time"),
    [("window", True), ("both directions", False), ("lstm-coupled", False), ("sru", False)],
)
def test_an_exported_encoder_reads_other_shapes(name, any_time):
    """The number of steps is fixed for loops, and by `torch.export` for torch's own kernels."""
    encoder, batch, time = ENCODERS[name]().eval(), torch.export.Dim("b"), torch.export.Dim("t")
    steps = 4
    shapes = ({0: batch, 1: time} if any_time else {0: batch}, {0: batch})
    example = (torch.randn(ROWS, steps, FEATURES), torch.tensor([4, 1, 2]))
    program = torch.export.export(encoder, example, dynamic_shapes=shapes, strict=False)
    lengths = torch.tensor([3, 1, 2, 3, 2])
    inputs = torch.randn(5, 7 if any_time else steps, FEATURES)
    assert_equal(program.module()(inputs, lengths), encoder(inputs, lengths), lengths)
