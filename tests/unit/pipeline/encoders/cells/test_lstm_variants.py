"""The LSTM's relatives: the papers' formulas retyped number by number, and what they promise."""

import math

import pytest
import torch
from torch import nn

from pipeline.encoders import (
    IRNN,
    LSTM,
    SLSTM,
    CoupledLSTM,
    CoupledLSTMCell,
    Elman,
    LSTMCell,
    MogrifierLSTM,
    SLSTMCell,
    Unrolled,
    Zoneout,
)
from tests.examples import value_error
from tests.unit.pipeline.encoders.cells.test_standard import (
    FIRST_HIDDEN,
    FIRST_MEMORY,
    HIDDEN,
    INPUT,
    INPUTS,
    assert_states,
    dot,
    fill,
    gate,
    linear,
    matrix,
    run,
    sigmoid,
)

NAMES = ("input", "forget", "candidate", "output")
GATES = {name: gate(1 + 100 * index) for index, name in enumerate(NAMES)}


def every(name, x, h):
    """W x + U h + b + c of all units of a gate."""
    return [linear(GATES[name], x, h, unit) for unit in range(HIDDEN)]


def test_coupled():
    hidden, memory, expected = FIRST_HIDDEN, FIRST_MEMORY, []
    for x in INPUTS:
        i = [1 - sigmoid(a) for a in every("forget", x, hidden)]  # Greff: f = 1 - i
        o = [sigmoid(a) for a in every("output", x, hidden)]
        z = [math.tanh(a) for a in every("candidate", x, hidden)]
        memory = [z[j] * i[j] + memory[j] * (1 - i[j]) for j in range(HIDDEN)]
        hidden = [math.tanh(memory[j]) * o[j] for j in range(HIDDEN)]
        expected.append(hidden)
    for encoder in (CoupledLSTM(INPUT, HIDDEN), Unrolled(CoupledLSTMCell(INPUT, HIDDEN))):
        assert_states(run(encoder, GATES, [FIRST_HIDDEN, FIRST_MEMORY]), expected)


def test_coupled_is_an_lstm_whose_input_gate_mirrors_its_forget_gate():
    torch.manual_seed(1)
    coupled, lstm = Unrolled(CoupledLSTMCell(3, 4)).double(), Unrolled(LSTMCell(3, 4)).double()
    with torch.no_grad():
        for ours, theirs in zip(coupled.weights[:4], lstm.weights[:4], strict=True):
            f, g, o = ours.normal_().chunk(3)
            theirs.copy_(torch.cat([-f, f, g, o]))  # sigmoid(-a) = 1 - sigmoid(a)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    torch.testing.assert_close(coupled(inputs), lstm(inputs))


def mogrify(x, h, products):
    """Melis et al. 2020, section 2: x with odd, h with even rounds."""
    for number, product in enumerate(products, start=1):
        source = h if number % 2 else x
        scale = [2 * sigmoid(dot(row, source)) for row in product]
        if number % 2:
            x = [a * b for a, b in zip(scale, x, strict=True)]
        else:
            h = [a * b for a, b in zip(scale, h, strict=True)]
    return x, h


def multiplied(left, right):
    columns = list(zip(*right, strict=True))
    return [[dot(row, column) for column in columns] for row in left]


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("rank", [None, 1, 3])
def test_mogrifier(rounds, rank):
    shapes = [(INPUT, HIDDEN) if number % 2 == 0 else (HIDDEN, INPUT) for number in range(rounds)]
    if rank is None:
        written = products = [matrix(*shape, 500 + 9 * n) for n, shape in enumerate(shapes)]
    else:
        rights = [matrix(rank, shape[1], 500 + 9 * n) for n, shape in enumerate(shapes)]
        lefts = [matrix(shape[0], rank, 700 + 9 * n) for n, shape in enumerate(shapes)]
        products = [multiplied(left, right) for left, right in zip(lefts, rights, strict=True)]
        written = [part for pair in zip(rights, lefts, strict=True) for part in pair]
    hidden, memory, expected = FIRST_HIDDEN, FIRST_MEMORY, []
    for x in INPUTS:
        x, hidden = mogrify(x, hidden, products)
        i, f, o = ([sigmoid(a) for a in every(n, x, hidden)] for n in ("input", "forget", "output"))
        g = [math.tanh(a) for a in every("candidate", x, hidden)]
        memory = [f[j] * memory[j] + i[j] * g[j] for j in range(HIDDEN)]
        hidden = [o[j] * math.tanh(memory[j]) for j in range(HIDDEN)]
        expected.append(hidden)
    encoder = MogrifierLSTM(INPUT, HIDDEN, rounds=rounds, rank=rank).double()
    cell = encoder.layers.layers[0].cell
    with torch.no_grad():
        for parameter, rows in zip(cell.others, written, strict=True):
            parameter.copy_(torch.tensor(rows, dtype=torch.float64))
    assert_states(run(encoder, GATES, [FIRST_HIDDEN, FIRST_MEMORY]), expected)


def test_mogrifier_without_rounds_is_the_lstm():
    torch.manual_seed(1)
    ours, theirs = MogrifierLSTM(3, 4, rounds=0).double(), LSTM(3, 4).double()
    with torch.no_grad():
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        for parameter, kernel in pairs:
            parameter.copy_(kernel)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(inputs), theirs(inputs), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": -1}, "rounds must be at least 0, got -1"),
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
    ],
)
def test_impossible_mogrifiers(settings, message):
    with value_error(message):
        MogrifierLSTM(**({"input_size": 3, "hidden_size": 4} | settings))


def test_slstm():
    """Beck et al. 2024, equations 8 to 14: without the stabiliser, which changes nothing."""
    hidden, memory, normalizer, expected = FIRST_HIDDEN, [0.0] * HIDDEN, [0.0] * HIDDEN, []
    for x in INPUTS:
        z = [math.tanh(a) for a in every("candidate", x, hidden)]
        i = [math.exp(a) for a in every("input", x, hidden)]
        f, o = ([sigmoid(a) for a in every(n, x, hidden)] for n in ("forget", "output"))
        memory = [f[j] * memory[j] + i[j] * z[j] for j in range(HIDDEN)]
        normalizer = [f[j] * normalizer[j] + i[j] for j in range(HIDDEN)]
        hidden = [o[j] * memory[j] / normalizer[j] for j in range(HIDDEN)]
        expected.append(hidden)
    carry = [FIRST_HIDDEN, *[[0.0] * HIDDEN] * 3]
    for encoder in (SLSTM(INPUT, HIDDEN), Unrolled(SLSTMCell(INPUT, HIDDEN))):
        encoded = run(encoder, GATES, carry)
        assert_states(encoded, expected)
        _, c, n, m = encoded.carry if isinstance(encoder, Unrolled) else encoded.carry[0]
        torch.testing.assert_close(c * m.exp(), torch.tensor([memory], dtype=torch.float64))
        torch.testing.assert_close(n * m.exp(), torch.tensor([normalizer], dtype=torch.float64))


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("sign", [-1, 1])
def test_slstm_is_stable_in_float32(size, sign):
    """exp(1000) is no float32; a mean of numbers in (-1, 1) is one nevertheless."""
    torch.manual_seed(1)
    encoder = SLSTM(3, 8)
    leaf = encoder.layers.layers[0]
    with torch.no_grad():
        leaf.weights.input_bias[:8] = sign * size  # the input gate
        leaf.weights.input_bias[8:16] = -sign * size  # the forget gate
    inputs = (size * torch.randn(4, 50, 3)).requires_grad_()
    states, carry = encoder(inputs)
    gradients = torch.autograd.grad(states.sum(), [inputs, *encoder.parameters()])
    assert all(part.isfinite().all() for part in (states, *carry[0], *gradients))
    assert states.abs().max() <= 1
    assert (carry[0][2] >= 1).all()


def test_slstm_with_closed_forget_gates_knows_only_the_last_input():
    """And the input gate's size cancels, as c and n have one scale."""
    cell = SLSTMCell(3, 4).double()
    with torch.no_grad():
        cell.weight_hh.zero_()
        cell.bias_ih[4:8] = -1e4
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    states, _ = Unrolled(cell)(inputs)
    gates = nn.functional.linear(inputs, cell.weight_ih, cell.bias_ih)
    _, _, candidate, read = gates.chunk(4, dim=-1)
    torch.testing.assert_close(states, read.sigmoid() * candidate.tanh())


def test_irnn_begins_as_the_identity():
    torch.manual_seed(1)
    encoder, start = IRNN(3, 6), torch.rand(2, 6) + 0.1
    assert str(Elman(3, 6, nonlinearity="relu").layers) == str(encoder.layers)
    states = encoder(torch.zeros(2, 30, 3), carry=((start,),)).states
    assert torch.equal(states, start.unsqueeze(1).expand(-1, 30, -1))

    def last(hidden):
        return encoder(0.1 * torch.randn(1, 30, 3), carry=((hidden,),)).carry[0][0][0]

    jacobian = torch.autograd.functional.jacobian(last, start[:1])[:, 0]
    assert torch.equal(jacobian, torch.eye(6))  # 30 steps neither shrink nor stretch a gradient


def test_the_slstm_learns_to_keep_a_first_input():
    """A sign 20 steps back: chance is log 2 = 0.69."""
    torch.manual_seed(1)
    encoder, head = SLSTM(2, 16), nn.Linear(16, 1)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(150):
        inputs = torch.randn(32, 20, 2)
        target = (inputs[:, 0, 0] > 0).float()
        logits = head(encoder(inputs).states[:, -1]).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.35


def test_fill_wrote_every_gate():
    encoder = SLSTM(INPUT, HIDDEN).double()
    fill(encoder, GATES)
    assert all(parameter.ne(0).all() for parameter in encoder.parameters())


def test_zoneout_keeps_the_hidden_state_of_an_slstm_and_never_half_a_mean():
    torch.manual_seed(1)
    leaf = Unrolled(SLSTMCell(3, 4)).double()
    zoneout, inputs = Zoneout(leaf, 0.9).train(), torch.randn(2, 1, 3, dtype=torch.float64)
    before = tuple(part + 1 for part in leaf.initial_carry(2))
    (hidden, *sums), (new, *new_sums) = (one(inputs, carry=before).carry for one in (zoneout, leaf))
    torch.testing.assert_close(sums, new_sums)
    kept = hidden == before[0]
    assert kept.any()
    assert torch.equal(hidden[~kept], new[~kept])
