"""Wrappers against what they say they compute."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline.encoders import (
    GRU,
    LSTM,
    Bidirectional,
    DropInputs,
    Elman,
    Encoded,
    Encoder,
    Normalized,
    Stacked,
)
from pipeline.encoders.wrappers.bidirectional import _mirror, _reorder
from tests.examples import value_error


def flip(inputs, lengths):
    return _reorder(inputs, _mirror(inputs, lengths))


def test_flip_by_hand():
    rows = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]).unsqueeze(-1)
    flipped = flip(rows, torch.tensor([3, 0, 4])).squeeze(-1)
    assert flipped.tolist() == [[3, 2, 1, 4], [5, 6, 7, 8], [12, 11, 10, 9]]
    torch.testing.assert_close(flip(rows, None), flip(rows, torch.tensor([4, 4, 4])))


@pytest.mark.parametrize("kind", [Elman, GRU, LSTM])
def test_mirror(kind):
    """Reading the mirrored rows with the two encoders exchanged gives the mirrored states."""
    torch.manual_seed(1)
    left, right = kind(3, 4).double(), kind(3, 4).double()
    inputs, lengths = torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([6, 2, 0, 5])
    states = Bidirectional(left, right)(inputs, lengths).states
    mirrored = Bidirectional(right, left)(flip(inputs, lengths), lengths).states
    back = flip(mirrored, lengths)
    real = torch.arange(6) < lengths.unsqueeze(1)
    torch.testing.assert_close(torch.cat([back[..., 4:], back[..., :4]], -1)[real], states[real])


def copy_from_torch(encoder, reference):
    """Gives our encoder the weights of a multi-layer bidirectional kernel of torch."""
    leaves = [part for part in encoder.modules() if hasattr(part, "weights")]
    with torch.no_grad():
        for leaf, theirs in zip(leaves, reference.all_weights, strict=True):
            for ours, weight in zip(leaf.weights[:4], theirs, strict=True):
                ours.copy_(weight)


@pytest.mark.parametrize("kind", [(Elman, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)])
def test_deep_bidirectional_is_torch_packed(kind):
    """Torch's own multi-layer bidirectional kernel over packed rows: another program's answer."""
    torch.manual_seed(1)
    ours, theirs = (
        kind[0](3, 4, 3, bidirectional=True),
        kind[1](3, 4, 3, bidirectional=True, batch_first=True),
    )
    ours, theirs = ours.double(), theirs.double()
    copy_from_torch(ours, theirs)
    inputs, lengths = torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([6, 2, 1, 5])
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    real = torch.arange(6) < lengths.unsqueeze(1)
    states = ours(inputs, lengths).states
    torch.testing.assert_close(states[real], expected[real], rtol=1e-10, atol=1e-12)


def test_deep_causal_is_torch():
    torch.manual_seed(1)
    ours, theirs = LSTM(3, 4, 3).double(), nn.LSTM(3, 4, 3, batch_first=True).double()
    copy_from_torch(ours, theirs)
    inputs = torch.randn(4, 6, 3, dtype=torch.float64)
    states, (hidden, memory) = theirs(inputs)
    ours = ours(inputs)
    torch.testing.assert_close(ours.states, states)
    torch.testing.assert_close(ours.carry, tuple(zip(hidden, memory, strict=True)))


def test_dropout_is_between_layers_only():
    torch.manual_seed(1)
    inputs = torch.randn(2, 5, 3)
    single = LSTM(3, 4, 1, dropout=0.9).train()
    torch.testing.assert_close(single(inputs), single(inputs))
    deep = LSTM(3, 4, 2, dropout=0.5).train()
    assert not torch.equal(deep(inputs).states, deep(inputs).states)
    torch.testing.assert_close(deep(inputs).carry[0], deep(inputs).carry[0])
    torch.testing.assert_close(deep.eval()(inputs), deep(inputs))


class Echo(Encoder):
    """Its states are what it reads."""

    input_size = output_size = 4
    is_causal = True

    def forward(self, inputs, lengths=None, carry=None):
        return Encoded(inputs, ())

    def initial_carry(self, batch_size):
        return ()


def test_dropout_drops_the_share_it_says_and_keeps_the_mean():
    torch.manual_seed(1)
    states = DropInputs(Echo(), 0.25).train()(torch.ones(100, 100, 4)).states
    share = (states == 0).float().mean()
    assert abs(share - 0.25) < 0.01  # 40,000 draws: a standard error of 0.002
    torch.testing.assert_close(states[states != 0].unique(), torch.tensor([1 / 0.75]))


def test_normalized_reads_the_formula():
    """Ba et al. 2016, equation 3 over the features of a step, retyped number by number."""
    torch.manual_seed(1)
    wrapped = Normalized(Echo()).double()
    gain, bias = (torch.randn(4, dtype=torch.float64) for _ in range(2))
    wrapped.load_state_dict({"norm.weight": gain, "norm.bias": bias})
    inputs = torch.randn(2, 3, 4, dtype=torch.float64)
    states = wrapped(inputs).states
    for row in range(2):
        for step in range(3):
            read = inputs[row, step].tolist()
            mean = sum(read) / 4
            deviation = math.sqrt(sum((x - mean) ** 2 for x in read) / 4 + 1e-5)
            expected = [
                g * (x - mean) / deviation + b
                for x, g, b in zip(read, gain.tolist(), bias.tolist(), strict=True)
            ]
            assert states[row, step].tolist() == pytest.approx(expected, rel=1e-12)


def test_normalisation_is_between_layers_before_dropout():
    torch.manual_seed(1)
    encoder = GRU(3, 4, 2, normalize=True, dropout=0.5).double()
    below, above = encoder.layers.layers
    assert isinstance(above, Normalized)
    assert isinstance(above.inner, DropInputs)
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    read = torch.nn.functional.layer_norm(below(inputs).states, (4,))
    encoder.eval()
    torch.testing.assert_close(encoder(inputs).states, above.inner.inner(read).states)


def test_parameter_names_do_not_depend_on_dropout():
    plain, dropping = LSTM(3, 4, 2), LSTM(3, 4, 2, dropout=0.5)
    assert list(plain.state_dict()) == list(dropping.state_dict())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Stacked([]), "Stacked needs at least one layer, got none"),
        (
            lambda: Stacked([LSTM(3, 4), LSTM(4, 5), LSTM(4, 5)]),
            "layer 2 of Stacked has input_size 4, but layer 1 below it has output_size 5",
        ),
        (
            lambda: Bidirectional(LSTM(3, 4), LSTM(5, 4)),
            "Bidirectional needs two encoders of one input_size, got 3 and 5",
        ),
        (
            lambda: Normalized(LSTM(1, 4)),
            "Normalized needs an encoder with an input_size of at least 2, because one feature "
            "equals its mean and would become 0, got input_size 1",
        ),
        (lambda: DropInputs(LSTM(3, 4), 1.5), "dropout must be at least 0 and below 1, got 1.5"),
    ],
)
def test_parts_that_do_not_fit(build, message):
    with value_error(message):
        build()


def test_both_directions_of_a_bidirectional_are_refused():
    with pytest.raises(ValueError, match=r"^Bidirectional needs causal encoders, but backward is"):
        Bidirectional(LSTM(3, 4), LSTM(3, 2, bidirectional=True))
