"""Gates against their formulas, number by number, and how they are counted by lag."""

from functools import partial

import pytest
import torch
from torch.autograd.functional import jacobian

from pipeline.analysis.gradients import analyze
from pipeline.encoders import (
    LSTM,
    QRNN,
    SRU,
    CoupledLSTM,
    Elman,
    GRUCell,
    LSTMCell,
    MinGRU,
    MogrifierLSTM,
    Unrolled,
)
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.recurrent import elman_layer, gru_layer
from tests.examples import sigmoid
from tests.unit.pipeline.analysis.gradients.models import language_model, window


def by_hand(weights, gate, step, hidden):
    """sigmoid(W x + b + U h + b'), unit by unit."""
    first = weights.gates.index(gate) * len(hidden)
    values = []
    for row in range(first, first + len(hidden)):
        total = weights.input_bias[row].item() + weights.recurrent_bias[row].item()
        total += sum(w.item() * x for w, x in zip(weights.input[row], step, strict=True))
        total += sum(u.item() * h for u, h in zip(weights.recurrent[row], hidden, strict=True))
        values.append(sigmoid(total))
    return values


LEAVES = {
    "gru": lambda: gru_layer(3, 4, "after", 0.0),
    "gru before": lambda: gru_layer(3, 4, "before", 0.0),
    "lstm": lambda: LSTM.make_layer(3, 4, 0.0),
    "lstm cell": lambda: Unrolled(LSTMCell(3, 4)),
    "gru cell": lambda: Unrolled(GRUCell(3, 4, "after")),
}


@pytest.mark.parametrize("name", LEAVES)
def test_values_are_the_formula_and_the_ones_that_are_used(name):
    torch.manual_seed(2)
    leaf = LEAVES[name]().double()
    with torch.no_grad():
        for weight in leaf.weights[:4]:
            weight.uniform_(-1, 1)
    step = torch.randn(1, 3, dtype=torch.float64)
    carry = tuple(torch.randn(1, 4, dtype=torch.float64) for _ in range(leaf.num_parts))
    found = leaf.gate_values(step, carry)
    assert set(found) == {gate for gate in leaf.weights.gates if gate != "candidate"}
    for gate, values in found.items():
        expected = by_hand(leaf.weights, gate, step[0].tolist(), carry[0][0].tolist())
        assert values[0].tolist() == pytest.approx(expected, rel=1e-10)
    after = leaf(step.unsqueeze(1), carry=carry).carry
    if "forget" in found:  # dc'/dc = f, with the state before held still
        slopes = torch.func.jacrev(lambda c: leaf(step.unsqueeze(1), carry=(carry[0], c)).carry[1])
        used = slopes(carry[1])[0, :, 0].diagonal()
        torch.testing.assert_close(found["forget"][0], used)
        torch.testing.assert_close(after[0], found["output"] * after[1].tanh())


@pytest.mark.parametrize(
    "kind", [CoupledLSTM, MogrifierLSTM, MinGRU, QRNN, partial(QRNN, window=2), SRU]
)
def test_the_forget_gate_is_how_much_of_the_memory_stays(kind):
    torch.manual_seed(2)
    (leaf,) = (part for part in kind(3, 4).double().modules() if isinstance(part, RecurrentLayer))
    step = torch.randn(1, 3, dtype=torch.float64)
    place = leaf.num_zoneout_parts - 1  # (hidden, cell), or the cell with or without a last input
    carry = [torch.randn_like(part) for part in leaf.initial_carry(1)]

    def memory(old):
        parts = (*carry[:place], old, *carry[place + 1 :])
        return leaf(step.unsqueeze(1), carry=parts).carry[place]

    kept = jacobian(memory, carry[place])[0, :, 0].diagonal()
    gates = leaf.gate_values(step, tuple(carry))
    found = gates["forget"] if "forget" in gates else 1 - gates["update"]  # of minGRU
    torch.testing.assert_close(found[0], kept)
    assert not {"candidate", "skip"} & set(gates)


def test_elman_has_none():
    leaf = elman_layer(3, 4, "tanh", 0.0)
    assert leaf.gate_values(torch.zeros(1, 3), (torch.zeros(1, 4),)) == {}
    assert analyze(language_model(Elman(3, 4)), window(), lags=5).layers[0].gates == {}


def test_means_and_saturation_by_lag():
    model = language_model(LSTM(3, 4))
    (leaf,) = model.encoder.layers.layers
    with torch.no_grad():
        for weight in leaf.weights[:4]:
            weight.uniform_(-3, 3)
    batch = window(rows=2, time=5)
    expected = {gate: [[] for _ in range(5)] for gate in ("input", "forget", "output")}
    for ids in batch.tokens:
        carry = leaf.initial_carry(1)
        for place, token in enumerate(ids):
            vector = model.embedding.weight[token]
            for gate, values in expected.items():
                numbers = by_hand(leaf.weights, gate, vector.tolist(), carry[0][0].tolist())
                values[4 - place] += numbers
            carry = leaf(vector.view(1, 1, 3), carry=carry).carry
    gates = analyze(model, batch, lags=9).layers[0].gates
    assert gates.keys() == expected.keys()
    for gate, by_lag in expected.items():
        assert gates[gate].mean == pytest.approx([sum(values) / 8 for values in by_lag], rel=1e-6)
        assert gates[gate].low == [sum(v < 0.1 for v in values) / 8 for values in by_lag]
        assert gates[gate].high == [sum(v > 0.9 for v in values) / 8 for values in by_lag]
    everything = [share for gate in gates.values() for share in (*gate.low, *gate.high)]
    assert len(set(everything)) > 3  # the corpus of this test has some of each
