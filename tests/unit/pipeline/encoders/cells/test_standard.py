"""The papers' formulas, retyped number by number, with a different weight for every gate."""

import math

import pytest
import torch

from pipeline.encoders import GRU, LSTM, Elman, ElmanCell, GRUCell, LSTMCell, Unrolled
from tests.examples import sigmoid

INPUT, HIDDEN, TIME = 3, 2, 5


def relu(x):
    return max(x, 0.0)


def numbers(count, start):
    """Reproducible, all different, of both signs, none 0."""
    return [math.sin(1.7 * (start + index)) * 0.9 + 0.013 * index for index in range(count)]


def matrix(rows, columns, start):
    flat = numbers(rows * columns, start)
    return [flat[row * columns : (row + 1) * columns] for row in range(rows)]


def gate(start):
    """The weights of one gate: W, U, and the two biases."""
    return {
        "W": matrix(HIDDEN, INPUT, start),
        "U": matrix(HIDDEN, HIDDEN, start + 20),
        "b": numbers(HIDDEN, start + 40),
        "c": numbers(HIDDEN, start + 50),
    }


def dot(weights, vector):
    return sum(w * x for w, x in zip(weights, vector, strict=True))


def linear(g, x, h, unit):
    """W x + U h + b + c of one unit."""
    return dot(g["W"][unit], x) + g["b"][unit] + dot(g["U"][unit], h) + g["c"][unit]


INPUTS = matrix(TIME, INPUT, 300)
FIRST_HIDDEN, FIRST_MEMORY = [0.3, -0.7], [-1.1, 0.4]


def fill(encoder, gates):
    """Writes the gates' weights into the only layer of an encoder, in the order of its rows."""
    (leaf,) = [part for part in encoder.modules() if hasattr(part, "weights")][:1]
    named = dict(zip("WUbc", leaf.weights[:4], strict=True))
    with torch.no_grad():
        for key, parameter in named.items():
            rows = [row for name in leaf.weights.gates for row in gates[name][key]]
            parameter.copy_(torch.tensor(rows, dtype=torch.float64))


def run(encoder, gates, carry):
    encoder = encoder.double()
    fill(encoder, gates)
    parts = tuple(torch.tensor([part], dtype=torch.float64) for part in carry)
    nested = parts if isinstance(encoder, Unrolled) else (parts,)
    return encoder(torch.tensor([INPUTS], dtype=torch.float64), carry=nested)


def assert_states(encoded, expected):
    wanted = torch.tensor([expected], dtype=torch.float64)
    torch.testing.assert_close(encoded.states, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "function", "torch_function"),
    [
        ("tanh", math.tanh, torch.tanh),
        ("relu", relu, torch.relu),
        ("sigmoid", sigmoid, torch.sigmoid),
    ],
)
def test_elman(name, function, torch_function):
    weights, hidden, expected = gate(1), FIRST_HIDDEN, []
    for x in INPUTS:
        hidden = [function(linear(weights, x, hidden, unit)) for unit in range(HIDDEN)]
        expected.append(hidden)
    for encoder in (
        Elman(INPUT, HIDDEN, nonlinearity=name),
        Unrolled(ElmanCell(INPUT, HIDDEN, torch_function)),
    ):
        assert_states(run(encoder, {"candidate": weights}, [FIRST_HIDDEN]), expected)


def gru_before(gates):
    """Cho et al. 2014 (arXiv 1406.1078), equations 5 to 8."""
    hidden, expected = FIRST_HIDDEN, []
    for x in INPUTS:
        r = [sigmoid(linear(gates["reset"], x, hidden, unit)) for unit in range(HIDDEN)]
        z = [sigmoid(linear(gates["update"], x, hidden, unit)) for unit in range(HIDDEN)]
        reset = [r[unit] * hidden[unit] for unit in range(HIDDEN)]
        new = [math.tanh(linear(gates["candidate"], x, reset, unit)) for unit in range(HIDDEN)]
        hidden = [z[j] * hidden[j] + (1 - z[j]) * new[j] for j in range(HIDDEN)]
        expected.append(hidden)
    return expected


def gru_after(gates):
    """The documentation of torch.nn.GRU."""
    hidden, expected, g = FIRST_HIDDEN, [], gates["candidate"]
    for x in INPUTS:
        r = [sigmoid(linear(gates["reset"], x, hidden, unit)) for unit in range(HIDDEN)]
        z = [sigmoid(linear(gates["update"], x, hidden, unit)) for unit in range(HIDDEN)]
        new = [
            math.tanh(dot(g["W"][j], x) + g["b"][j] + r[j] * (dot(g["U"][j], hidden) + g["c"][j]))
            for j in range(HIDDEN)
        ]
        hidden = [(1 - z[j]) * new[j] + z[j] * hidden[j] for j in range(HIDDEN)]
        expected.append(hidden)
    return expected


@pytest.mark.parametrize(("reset", "oracle"), [("before", gru_before), ("after", gru_after)])
def test_gru(reset, oracle):
    gates = {"reset": gate(1), "update": gate(101), "candidate": gate(201)}
    for encoder in (GRU(INPUT, HIDDEN, reset=reset), Unrolled(GRUCell(INPUT, HIDDEN, reset))):
        assert_states(run(encoder, gates, [FIRST_HIDDEN]), oracle(gates))


def test_the_two_grus_differ():
    gates = {"reset": gate(1), "update": gate(101), "candidate": gate(201)}
    assert abs(gru_before(gates)[-1][0] - gru_after(gates)[-1][0]) > 1e-3


def test_lstm():
    names = ("input", "forget", "candidate", "output")
    gates = {name: gate(1 + 100 * index) for index, name in enumerate(names)}
    hidden, memory, expected = FIRST_HIDDEN, FIRST_MEMORY, []
    for x in INPUTS:
        i, f, o = (
            [sigmoid(linear(gates[name], x, hidden, unit)) for unit in range(HIDDEN)]
            for name in ("input", "forget", "output")
        )
        new = [math.tanh(linear(gates["candidate"], x, hidden, unit)) for unit in range(HIDDEN)]
        memory = [f[j] * memory[j] + i[j] * new[j] for j in range(HIDDEN)]
        hidden = [o[j] * math.tanh(memory[j]) for j in range(HIDDEN)]
        expected.append(hidden)
    for encoder in (LSTM(INPUT, HIDDEN), Unrolled(LSTMCell(INPUT, HIDDEN))):
        encoded = run(encoder, gates, [FIRST_HIDDEN, FIRST_MEMORY])
        assert_states(encoded, expected)
        carry = encoded.carry if isinstance(encoder, Unrolled) else encoded.carry[0]
        torch.testing.assert_close(carry[0], torch.tensor([hidden], dtype=torch.float64))
        torch.testing.assert_close(carry[1], torch.tensor([memory], dtype=torch.float64))
