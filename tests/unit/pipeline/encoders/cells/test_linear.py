"""Linear recurrences: the papers' formulas retyped number by number, and what the leaf does."""

import math
from functools import partial

import pytest
import torch

from pipeline.encoders import (
    LSTM,
    QRNN,
    SLSTM,
    SRU,
    MinGRU,
    MinLSTM,
    MinLSTMCell,
    QRNNCell,
    Scanned,
    Zoneout,
)
from pipeline.encoders.testing import assert_laws
from tests.examples import needs_bfloat16, value_error
from tests.unit.pipeline.encoders.cells.test_standard import (
    HIDDEN,
    INPUT,
    INPUTS,
    assert_states,
    dot,
    matrix,
    numbers,
    sigmoid,
)

FIRST = [0.3, -0.7]
KINDS = {
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "qrnn-f": lambda *sizes: QRNN(*sizes, pooling="f"),
    "qrnn-fo": QRNN,
    "qrnn-ifo": lambda *sizes: QRNN(*sizes, pooling="ifo"),
    "qrnn-window": lambda *sizes: QRNN(*sizes, window=2),
    "sru": SRU,
}


def gates_of(names, inputs=INPUT):
    return {
        name: {"W": matrix(HIDDEN, inputs, 1 + 100 * n), "b": numbers(HIDDEN, 60 + 100 * n)}
        for n, name in enumerate(names)
    }


def answer(encoder, gates, carry, inputs=INPUTS):
    encoder = encoder.double()
    weights = encoder.layers.layers[0].weights
    assert set(weights.gates) == set(gates)
    with torch.no_grad():
        for key, parameter in (("W", weights.input), ("b", weights.input_bias)):
            rows = [row for name in weights.gates for row in gates[name][key]]
            parameter.copy_(torch.tensor(rows, dtype=torch.float64))
    parts = tuple(torch.tensor([part], dtype=torch.float64) for part in carry)
    return encoder(torch.tensor([inputs], dtype=torch.float64), carry=(parts,))


def of(gate, x):
    return [dot(row, x) + b for row, b in zip(gate["W"], gate["b"], strict=True)]


def test_mingru():
    gates, h, expected = gates_of(["update", "candidate"]), FIRST, []
    for x in INPUTS:
        z = [sigmoid(a) for a in of(gates["update"], x)]
        new = of(gates["candidate"], x)
        h = [(1 - z[j]) * h[j] + z[j] * new[j] for j in range(HIDDEN)]
        expected.append(h)
    assert_states(answer(MinGRU(INPUT, HIDDEN), gates, [FIRST]), expected)


def test_minlstm():
    gates, h, expected = gates_of(["forget", "input", "candidate"]), FIRST, []
    for x in INPUTS:
        f, i = ([sigmoid(a) for a in of(gates[name], x)] for name in ("forget", "input"))
        new = of(gates["candidate"], x)
        h = [f[j] / (f[j] + i[j]) * h[j] + i[j] / (f[j] + i[j]) * new[j] for j in range(HIDDEN)]
        expected.append(h)
    assert_states(answer(MinLSTM(INPUT, HIDDEN), gates, [FIRST]), expected)


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("pooling", ["f", "fo", "ifo"])
def test_qrnn(pooling, window):
    names = {"i": "input", "f": "forget", "o": "output"}
    gates = gates_of(["candidate", *(names[letter] for letter in pooling)], window * INPUT)
    before, c, expected = [0.2, -0.4, 0.9], FIRST, []
    carry = [c, before] if window == 2 else [c]
    for x in INPUTS:
        read = before + x if window == 2 else x
        z = [math.tanh(a) for a in of(gates["candidate"], read)]
        f = [sigmoid(a) for a in of(gates["forget"], read)]
        i = [1 - a for a in f]
        if "i" in pooling:
            i = [sigmoid(a) for a in of(gates["input"], read)]
        c = [f[j] * c[j] + i[j] * z[j] for j in range(HIDDEN)]
        h = c
        if "o" in pooling:
            h = [sigmoid(a) * c[j] for j, a in enumerate(of(gates["output"], read))]
        expected.append(h)
        before = x
    encoded = answer(QRNN(INPUT, HIDDEN, pooling=pooling, window=window), gates, carry)
    assert_states(encoded, expected)
    torch.testing.assert_close(encoded.carry[0][0], torch.tensor([c], dtype=torch.float64))
    if window == 2:
        assert encoded.carry[0][1].tolist() == [INPUTS[-1]]


@pytest.mark.parametrize("same", [False, True], ids=["projected", "same size"])
def test_sru(same):
    inputs = [x[: HIDDEN if same else INPUT] for x in INPUTS]
    size = len(inputs[0])
    names = ["candidate", "forget", "output"] + ([] if same else ["skip"])
    gates, c, expected = gates_of(names, size), FIRST, []
    for x in inputs:
        new = of(gates["candidate"], x)
        f, r = ([sigmoid(a) for a in of(gates[name], x)] for name in ("forget", "output"))
        c = [f[j] * c[j] + (1 - f[j]) * new[j] for j in range(HIDDEN)]
        skip = x if same else of(gates["skip"], x)
        expected.append([r[j] * c[j] + (1 - r[j]) * skip[j] for j in range(HIDDEN)])
    assert_states(answer(SRU(size, HIDDEN), gates, [FIRST], inputs), expected)


@pytest.mark.parametrize("value", [-200.0, 200.0])
def test_minlstm_with_both_gates_shut_or_open(value):
    """f / (f + i) of two gates of exp(-200) is 1/2, not 0 / 0 (float32 ends at exp(-103))."""
    cell = MinLSTMCell(3, 4)
    with torch.no_grad():
        cell.weight_ih[:8] = 0
        cell.bias_ih[:8] = value
    inputs = torch.randn(2, 1, 3)
    states, _ = Scanned(cell)(inputs)
    candidate = cell.project(inputs)[..., 8:]
    torch.testing.assert_close(states, candidate / 2)


@needs_bfloat16
def test_a_decay_of_almost_1_survives_autocast():
    """sigmoid(8) is 0.99966; in bfloat16 it would be 1, and 1 - sigmoid(8) would be 0."""
    encoder = QRNN(3, 4, pooling="f")
    weights = encoder.layers.layers[0].weights
    with torch.no_grad():
        weights.input.zero_()
        weights.input_bias[:4] = 8.0  # candidate: tanh(8) is 1
        weights.input_bias[4:] = 8.0  # forget
    with torch.autocast("cpu", torch.bfloat16):
        states, carry = encoder(torch.randn(1, 1000, 3))
    decay = 1 / (1 + math.exp(-8))
    assert states.dtype == torch.bfloat16
    assert carry[0][0].dtype == torch.float32
    expected = torch.full((1, 4), 1 - decay**1000)
    torch.testing.assert_close(carry[0][0], expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_recurrent_matrix(kind):
    leaf = KINDS[kind](3, 4).layers.layers[0]
    assert leaf.weights.recurrent is None
    assert leaf.weights.recurrent_bias is None
    assert sum(part.numel() for part in leaf.parameters()) == sum(
        part.numel() for part in leaf.weights.tensors
    )
    with pytest.raises(TypeError, match="weight_dropout"):
        type(KINDS[kind](3, 4))(3, 4, weight_dropout=0.5)


def test_impossible_settings():
    with pytest.raises(ValueError, match=r"^window must be 1 or 2, got 3$"):
        QRNN(3, 4, window=3)
    with pytest.raises(ValueError, match=r"^hidden_size must be at least 1, got 0$"):
        MinGRU(3, 0)


def test_wrong_carries():
    message = (
        "Scanned expects a carry of cell state and last input, [[2, 4], [2, 3]], got [[2, 4]]; "
        "initial_carry(2) returns a new one"
    )
    with value_error(message):
        Scanned(QRNNCell(3, 4, window=2))(torch.zeros(2, 5, 3), carry=(torch.zeros(2, 4),))
    with pytest.raises(ValueError, match=r"^Scanned expects a carry of 1 tensors \[batch=2"):
        MinGRU(3, 4)(torch.zeros(2, 5, 3), carry=LSTM(3, 4).initial_carry(2))


@pytest.mark.parametrize("kind", KINDS)
def test_zoneout_in_evaluation_slows_every_memory(kind):
    """The expectation of m' = m or f(m): p m + (1 - p) f(m), and the laws hold."""
    torch.manual_seed(1)
    plain = KINDS[kind](3, 4).double().eval()
    leaf, chance = plain.layers.layers[0], 0.3
    assert_laws(lambda: Zoneout(leaf, chance))
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    carry = leaf.initial_carry(2)
    for step in inputs.split(1, dim=1):
        memory, *last = leaf(step, carry=carry).carry
        carry = (chance * carry[0] + (1 - chance) * memory, *last)
    torch.testing.assert_close(Zoneout(leaf, chance).eval()(inputs).carry, carry)


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM, SRU, partial(QRNN, window=2), SLSTM])
def test_a_layer_held_in_bfloat16_takes_its_own_carry(kind):
    encoder = kind(3, 4).bfloat16()
    inputs = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1)).bfloat16()
    whole, left = encoder(inputs), encoder(inputs[:, :4])
    right = encoder(inputs[:, 4:], carry=left.carry)
    assert torch.float32 in {part.dtype for part in right.carry[0]}
    torch.testing.assert_close(right.states, whole.states[:, 4:])


def test_a_carry_of_more_digits_is_refused():
    carry = tuple(part.double() for part in QRNN(3, 4, window=2).initial_carry(2)[0])
    with pytest.raises(ValueError, match=r"expects a floating-point carry of torch\.float32"):
        QRNN(3, 4, window=2)(torch.zeros(2, 1, 3), carry=(carry,))
