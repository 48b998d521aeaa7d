"""Layers run step by step: the ordinary call, a kernel and its cell, a memory without a state."""

import pytest
import torch

from pipeline.analysis.gradients import analyze
from pipeline.analysis.gradients.recording import record_steps
from pipeline.encoders import GRU, LSTM, QRNN, Elman, Encoded, LSTMCell, Unrolled
from pipeline.encoders.carry import select_rows
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.weights import RecurrentWeights
from tests.unit.pipeline.analysis.gradients.models import language_model, window

ENCODERS = {
    "elman": lambda: Elman(3, 4, num_layers=2, nonlinearity="sigmoid"),
    "gru": lambda: GRU(3, 4, num_layers=2, bidirectional=True),
    "gru before": lambda: GRU(3, 4, reset="before"),
    "lstm": lambda: LSTM(3, 4, num_layers=2, bidirectional=True, skip="residual", dropout=0.5),
    "wide": lambda: LSTM(3, 4, num_layers=3, last_size=5, weight_dropout=0.5),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_step_by_step_is_the_ordinary_call(name):
    encoder = ENCODERS[name]().double().eval()
    inputs, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 0, 3])
    inputs.requires_grad_()
    plain = encoder(inputs, lengths)
    with record_steps(encoder) as traces:
        stepped = encoder(inputs, lengths)
    real = (torch.arange(6) < lengths.unsqueeze(1)).unsqueeze(-1)
    torch.testing.assert_close(stepped.states * real, plain.states * real, rtol=0, atol=1e-10)
    full = lengths == 6  # the memory of a row that ended before is unspecified
    carries = [select_rows(carry, full) for carry in (stepped.carry, plain.carry)]
    torch.testing.assert_close(*carries, rtol=0, atol=1e-10)
    (expected,) = torch.autograd.grad((plain.states * real).square().sum(), inputs)
    (found,) = torch.autograd.grad((stepped.states * real).square().sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert len({trace.name for trace in traces}) == len(traces)
    again = encoder(inputs, lengths)
    assert torch.equal(again.states, plain.states)  # nothing is left behind
    assert not any("forward" in vars(part) for part in encoder.modules())


def test_a_kernel_and_the_cell_written_out_agree():
    """Also where the kernel has the state and the cell of an LSTM side by side."""
    model = language_model(LSTM(3, 4))
    expected = analyze(model, window(), lags=9)
    (leaf,) = model.encoder.layers.layers
    cell = LSTMCell(3, 4).double()
    with torch.no_grad():
        for mine, other in zip(cell.weights[:4], leaf.weights[:4], strict=True):
            mine.copy_(other)
    model.encoder.layers.layers[0] = Unrolled(cell)
    found = analyze(model, window(), lags=9)
    close(found.as_data(), expected.as_data())


class Leaky(RecurrentLayer):
    """c' = c / 2 + x, h = c'^2: the memory alone is handed on."""

    num_parts, reads_carry = 1, False

    def __init__(self):
        super().__init__(0.0)
        self.input_size = self.output_size = 3

    @property
    def weights(self):
        return RecurrentWeights(torch.zeros(3, 3), None, torch.zeros(3), None, ("candidate",))

    def forward(self, inputs, lengths=None, carry=None):
        (memory,) = self.initial_carry(len(inputs)) if carry is None else carry
        states = []
        for step in inputs.unbind(1):
            memory = memory / 2 + step
            states.append(memory.square())
        return Encoded(torch.stack(states, 1), (memory,))

    def initial_carry(self, batch_size):
        return (torch.zeros(batch_size, 3, dtype=torch.float64),)


def test_a_layer_that_hands_on_its_memory_alone():
    layer = analyze(language_model(Leaky()), window(time=6), lags=9).layers[0]
    assert layer.followed == "cell"
    assert layer.gradients["cell"][0] == 0.0  # a loss reads states
    assert [layer.share(lag) for lag in range(1, 6)] == pytest.approx(
        [0.5**lag for lag in range(5)]
    )
    assert layer.factor == pytest.approx(0.5)
    assert layer.jacobian_products == pytest.approx([0.5**lag for lag in range(6)])
    assert (layer.gates, layer.spectral_radius, layer.bound) == ({}, {}, None)


def test_what_is_handed_on_is_not_told_by_values():
    model = language_model(QRNN(3, 4))
    inputs = torch.zeros(1, 3, 3, dtype=torch.float64)  # memory and state begin as zeros
    inputs[:, 1:] = 1.0
    with record_steps(model.encoder) as traces:
        model.encoder(inputs)
    assert traces[0].followed == "cell"
    with record_steps(encoder := LSTM(3, 4)) as traces:
        encoder(torch.full((1, 2, 3), torch.nan))
    assert (traces[0].followed, list(traces[0].parts)) == ("state", ["state", "cell"])


def test_zoneout_is_refused():
    with pytest.raises(ValueError, match=r"^gradients of layers with zoneout cannot be analyzed"):
        analyze(language_model(LSTM(3, 4, zoneout=0.1)), window(), lags=9)


def close(found, expected):
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(found, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            close(*pair)
    elif isinstance(found, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    else:
        assert found == expected
