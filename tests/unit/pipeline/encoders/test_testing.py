"""`assert_laws` accepts a correct encoder and reports each planted bug."""

import pytest
import torch
from torch import nn

from pipeline.encoders import Encoded, Encoder
from pipeline.encoders.base import reads_ahead
from pipeline.encoders.testing import assert_laws


class Decay(Encoder):
    """A user's encoder in ten lines: a running average with a learned rate."""

    def __init__(self, input_size, output_size):
        super().__init__()
        self.input_size, self.output_size, self.is_causal = input_size, output_size, True
        self.linear = nn.Linear(input_size, output_size)
        self.rate = nn.Parameter(torch.zeros(output_size))

    def forward(self, inputs, lengths=None, carry=None):
        (memory,), states = self.initial_carry(len(inputs)) if carry is None else carry, []
        for step in self.linear(inputs).unbind(dim=1):
            memory = memory + self.rate.sigmoid() * (step - memory)
            states.append(memory)
        return Encoded(torch.stack(states, dim=1), (memory,))

    def initial_carry(self, batch_size):
        return (self.rate.new_zeros(batch_size, self.output_size),)


def test_ten_lines_keep_the_laws():
    assert_laws(lambda: Decay(3, 4))


def test_the_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert_laws(lambda: Decay(3, 4))
    assert torch.equal(torch.rand(3), expected)


class Planted(Encoder):
    """Decay with room for a bug."""

    input_size = output_size = 3
    is_causal = True

    def __init__(self):
        super().__init__()
        self.inner = Decay(3, 3)

    def forward(self, inputs, lengths=None, carry=None):
        return self.inner(inputs, lengths, carry)

    def initial_carry(self, batch_size):
        return self.inner.initial_carry(batch_size)


class PeeksAtTheFuture(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        states, carry = self.inner(inputs, lengths, carry)
        return Encoded(states + states.roll(-1, dims=1), carry)


class SaysItPeeks(Planted):
    is_causal = False


class LeaksPadding(Planted):
    is_causal = False

    def forward(self, inputs, lengths=None, carry=None):
        states, carry = self.inner(inputs, lengths, carry)
        return Encoded(states + inputs.flip(1), carry)


class DropsTheCarry(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        return self.inner(inputs, lengths)


class ReturnsAnOldCarry(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        before = self.initial_carry(len(inputs)) if carry is None else carry
        return Encoded(self.inner(inputs, lengths, carry).states, before)


class Remembers(Planted):
    memory = 0.0

    def forward(self, inputs, lengths=None, carry=None):
        states, carry = self.inner(inputs + self.memory, lengths, carry)
        self.memory = states.detach().mean()
        return Encoded(states, carry)


class OtherStart(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        if carry is None:
            carry = (torch.ones(len(inputs), 3, dtype=inputs.dtype),)
        return self.inner(inputs, lengths, carry)


class TimeFirstCarry(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        inner = None if carry is None else (carry[0].squeeze(0),)
        states, (memory,) = self.inner(inputs, lengths, inner)
        return Encoded(states, (memory.unsqueeze(0),))

    def initial_carry(self, batch_size):
        return (self.inner.initial_carry(batch_size)[0].unsqueeze(0),)


class MixesRows(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        return self.inner(inputs + inputs.mean(0, keepdim=True), lengths, carry)


class GrowingCarry(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        states, after = self.inner(inputs, lengths, carry[:1] if carry else None)
        return Encoded(states, (*after, states[:, -1]))


class IdleParameter(Planted):
    def __init__(self):
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(3))


class HiddenParameter(Planted):
    def __init__(self):
        super().__init__()
        self.shift = torch.randn(3)

    def forward(self, inputs, lengths=None, carry=None):
        return self.inner(inputs + self.shift, lengths, carry)


class DividesByLength(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        states, carry = self.inner(inputs, lengths, carry)
        if lengths is None:
            return Encoded(states, carry)
        share = states.sum(dim=(1, 2)) / lengths
        return Encoded(states + 0 * share.sum(), carry)


class WrongSize(Planted):
    output_size = 4


class SaysNotWhatItIs(Planted):
    is_causal = property()  # raises AttributeError, as if it was never set


class ReturnsNoCarry(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        return Encoded(self.inner(inputs, lengths, carry).states, None)


class ReturnsStatesAlone(Planted):
    def forward(self, inputs, lengths=None, carry=None):
        return self.inner(inputs, lengths, carry).states


def test_who_reads_ahead_is_found_and_left_as_it_was():
    encoder = PeeksAtTheFuture()
    encoder.inner.eval()
    before = torch.random.get_rng_state()
    assert reads_ahead(encoder)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert encoder.training
    assert not encoder.inner.training
    assert not reads_ahead(Decay(3, 4))


@pytest.mark.parametrize(
    ("bug", "law"),
    [
        (PeeksAtTheFuture, "is_causal is correct"),
        (SaysItPeeks, "is_causal is correct"),
        (LeaksPadding, "padding has no effect"),
        (DropsTheCarry, "two calls with the carry equal one call"),
        (ReturnsAnOldCarry, "two calls with the carry equal one call"),
        (Remembers, "no state is kept"),
        (OtherStart, "an omitted carry is the initial carry"),
        (TimeFirstCarry, "the carry is batch-first"),
        (MixesRows, "the carry is batch-first"),
        (GrowingCarry, "the carry is batch-first and keeps its structure"),
        (IdleParameter, "every parameter gets a gradient: idle"),
        (HiddenParameter, "state_dict contains all parameters"),
        (DividesByLength, "empty rows are harmless"),
        (WrongSize, "states have the declared size"),
        (SaysNotWhatItIs, "is_causal is set"),
        (ReturnsNoCarry, "the carry is batch-first.*the carry returned must be a tuple, got None"),
        (ReturnsStatesAlone, r"a call returns Encoded\(states, carry\): got Tensor"),
    ],
)
def test_planted_bug_is_caught(bug, law):
    with pytest.raises(AssertionError, match=f"^{law}"):
        assert_laws(bug)
