import pytest
import torch

from pipeline.encoders import Identity, Window
from pipeline.encoders.testing import assert_laws


@pytest.mark.parametrize(("before", "after"), [(2, 2), (3, 0), (0, 1), (0, 0), (1, 4)])
@pytest.mark.parametrize("hidden", [None, 5])
def test_laws(before, after, hidden):
    assert_laws(lambda: Window(3, before, after, hidden_size=hidden, nonlinearity="relu"))


def test_identity_laws():
    assert_laws(lambda: Identity(3))


def ends(vectors):
    return () if vectors is None else vectors


@pytest.mark.parametrize(("before", "after"), [(2, 2), (3, 0), (0, 1), (1, 3)])
def test_a_state_is_its_window(before, after):
    """By hand: the vectors left and right of each word, with those of the start and the end."""
    torch.manual_seed(1)
    encoder = Window(2, before, after, hidden_size=4).double()
    inputs, lengths = torch.randn(3, 5, 2).double(), [5, 2, 1]
    states = encoder(inputs, torch.tensor(lengths)).states
    for row, length in enumerate(lengths):
        line = [*ends(encoder.start), *inputs[row, :length], *ends(encoder.end)]
        for step in range(length):
            window = torch.cat(line[step : step + before + 1 + after])
            expected = torch.tanh(encoder.hidden.weight @ window + encoder.hidden.bias)
            torch.testing.assert_close(states[row, step], expected)


def test_no_hidden_layer_leaves_the_window_as_it_is():
    encoder = Window(1, 1, 1)
    inputs = torch.tensor([[[1.0], [2.0], [3.0]]])
    (start,), (end,) = encoder.start.flatten().tolist(), encoder.end.flatten().tolist()
    expected = [[start, 1, 2], [1, 2, 3], [2, 3, end]]
    torch.testing.assert_close(encoder(inputs).states[0], torch.tensor(expected))


@pytest.mark.parametrize("settings", [{"before": -1}, {"after": -1}])
def test_impossible_settings(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Window(3, **settings)


def test_the_start_has_a_gradient_in_later_windows_too():
    """One of zeros: ddp stops where a parameter has none."""
    encoder = Window(3, before=2, after=0, hidden_size=4)
    inputs = torch.randn(2, 5, 3)
    carry = tuple(part.detach() for part in encoder(inputs).carry)
    encoder(inputs, carry=carry).states.sum().backward()
    assert encoder.start.grad.abs().sum() == 0
