"""Zoneout against the paper's formulas, with the masks given."""

from functools import partial

import pytest
import torch

from pipeline.encoders import GRU, LSTM, Elman, Encoded, LSTMCell, Unrolled, Zoneout
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.testing import assert_laws
from tests.examples import value_error

CHANCE = 0.3
INPUTS = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def lstm_step(leaf, x, h, c):
    matrix, recurrent, bias, recurrent_bias = leaf.weights[:4]
    total = x @ matrix.T + bias + h @ recurrent.T + recurrent_bias
    i, f, g, o = total.split(leaf.output_size, dim=1)
    memory = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def retyped(leaf, keep):
    """Krueger et al. 2016, section 3.2; `keep` gives d of the hidden state and of the memory."""
    h = c = torch.zeros(2, 5, dtype=torch.float64)
    states = []
    for step in range(4):
        new_h, new_c = lstm_step(leaf, INPUTS[:, step], h, c)
        d_h, d_c = keep(h), keep(c)
        h, c = d_h * h + (1 - d_h) * new_h, d_c * c + (1 - d_c) * new_c
        states.append(h)
    return torch.stack(states, dim=1), (h, c)


@pytest.mark.parametrize("loop", [False, True], ids=["kernel", "loop"])
def test_the_lstm_in_training_and_in_evaluation(loop):
    torch.manual_seed(2)
    leaf = Unrolled(LSTMCell(3, 5)) if loop else LSTM.make_layer(3, 5, 0.0)
    wrapped = Zoneout(leaf.double(), CHANCE)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        trained = wrapped.train()(INPUTS)
        torch.manual_seed(3)
        expected = retyped(leaf, lambda part: (torch.rand_like(part) < CHANCE).double())
    torch.testing.assert_close(tuple(trained), expected)
    torch.testing.assert_close(tuple(wrapped.eval()(INPUTS)), retyped(leaf, lambda part: CHANCE))


def test_the_share_of_units_that_keep_their_value():
    torch.manual_seed(4)
    leaf = LSTM.make_layer(3, 50, 0.0)
    start = tuple(torch.randn(200, 50) for _ in range(2))
    after = Zoneout(leaf, CHANCE).train()(torch.randn(200, 1, 3), carry=start).carry
    kept = [(new == old).double().mean().item() for new, old in zip(after, start, strict=True)]
    assert kept == pytest.approx([CHANCE] * 2, abs=0.02)  # 10,000 draws: a deviation of 0.005
    both = ((after[0] == start[0]) & (after[1] == start[1])).double().mean().item()
    assert both == pytest.approx(CHANCE**2, abs=0.02)  # the parts have masks of their own


def test_expectation_of_one_step_is_the_evaluation():
    torch.manual_seed(5)
    wrapped = Zoneout(LSTM.make_layer(3, 5, 0.0).double(), CHANCE)
    carry = tuple(torch.randn(1, 5, dtype=torch.float64) for _ in range(2))
    exact = wrapped.eval()(INPUTS[:1, :1], carry=carry).states[0]
    many = tuple(part.expand(20000, 5).contiguous() for part in carry)
    drawn = wrapped.train()(INPUTS[:1, :1].expand(20000, 1, 3), carry=many).states
    torch.testing.assert_close(drawn.mean(0), exact, rtol=0, atol=0.02)


class Remembering(RecurrentLayer):
    """A running sum, read through tanh, whose carry ends with the last input."""

    num_parts, reads_carry, num_zoneout_parts = 2, False, 1
    input_size = output_size = 3

    def __init__(self):
        super().__init__(0.0)

    @property
    def weights(self):
        raise NotImplementedError

    def forward(self, inputs, lengths=None, carry=None):
        total = carry[0].unsqueeze(1) + inputs.cumsum(1)
        return Encoded(total.tanh(), (total[:, -1], inputs[:, -1]))

    def initial_carry(self, batch_size):
        return tuple(torch.zeros(batch_size, 3, dtype=torch.float64) for _ in range(2))


def test_states_beside_the_memory_and_inputs_in_the_carry():
    """States come from the memory before it is mixed; a carried input is never an old one."""
    states, (total, last) = Zoneout(Remembering(), CHANCE).eval()(INPUTS)
    memory = torch.zeros(2, 3, dtype=torch.float64)
    for step in range(4):
        new = memory + INPUTS[:, step]
        torch.testing.assert_close(states[:, step], new.tanh())
        memory = CHANCE * memory + (1 - CHANCE) * new
    torch.testing.assert_close(total, memory)
    torch.testing.assert_close(last, INPUTS[:, -1])


@pytest.mark.parametrize(
    "kind", [Elman, GRU, partial(GRU, reset="before"), LSTM], ids=["elman", "gru", "loop", "lstm"]
)
def test_laws(kind):
    assert_laws(partial(kind, 3, 4, num_layers=2, zoneout=CHANCE))
    assert_laws(partial(kind, 3, 4, bidirectional=True, zoneout=CHANCE, skip="dense"))


def test_every_layer_and_direction_has_it():
    encoder = LSTM(3, 4, 2, bidirectional=True, zoneout=CHANCE)
    chances = [part.zoneout for part in encoder.modules() if isinstance(part, Zoneout)]
    assert chances == [CHANCE] * 4
    assert not torch.equal(encoder(INPUTS.float()).states, encoder(INPUTS.float()).states)
    assert not any(isinstance(part, Zoneout) for part in LSTM(3, 4).modules())


def test_not_with_weight_dropout():
    message = (
        "zoneout and weight_dropout exclude each other, because zoneout calls a layer once per "
        "step; got 0.1 and 0.5: set one to 0"
    )
    with value_error(message):
        LSTM(3, 4, weight_dropout=0.5, zoneout=0.1)


@pytest.mark.parametrize("chance", [-0.1, 1.0, float("nan")])
def test_impossible_chances(chance):
    with pytest.raises(ValueError, match=rf"^zoneout must be at least 0 and below 1, got {chance}"):
        LSTM(3, 4, zoneout=chance)
