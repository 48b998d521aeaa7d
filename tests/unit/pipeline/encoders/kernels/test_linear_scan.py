"""The scan against the plain recurrence, in both of its schemes."""

from fractions import Fraction

import pytest
import torch

from pipeline.encoders.kernels.linear_scan import linear_scan
from tests.examples import value_error


@pytest.fixture(params=["loop", "chunks"], autouse=True)
def scheme(request, monkeypatch):
    monkeypatch.setattr(
        "pipeline.encoders.kernels.linear_scan._in_chunks",
        lambda drive: request.param == "chunks" and drive.shape[1] > 1,
    )


def plain(decay, drive, start):
    states = []
    for step in range(drive.shape[1]):
        start = decay[:, step] * start + drive[:, step]
        states.append(start)
    return torch.stack(states, dim=1)


def operands(time, batch=3, hidden=4, low=0.0, high=1.0):
    torch.manual_seed(time)
    decay = torch.rand(batch, time, hidden, dtype=torch.float64) * (high - low) + low
    drive = torch.randn(batch, time, hidden, dtype=torch.float64)
    return decay, drive, torch.randn(batch, hidden, dtype=torch.float64)


def with_gradients(function, given):
    given = [part.clone().requires_grad_() for part in given]
    states = function(*given)
    signal = torch.sin(torch.arange(states.numel(), dtype=states.dtype)).view_as(states)
    return states, torch.autograd.grad((states * signal).sum(), given)


@pytest.mark.parametrize("time", [1, 2, 3, 4, 7, 13, 35, 48, 97, 1000])
def test_it_is_the_recurrence(time):
    given = operands(time)
    ours, theirs = with_gradients(linear_scan, given), with_gradients(plain, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_by_hand():
    """Fractions of powers of two are exact, so nothing may differ at all."""
    decays = [Fraction(n, 8) for n in (3, 8, 0, 5, 1, 7, 2)]
    drives = [Fraction(n, 4) for n in (-5, 1, 0, 9, -2, 3, 6)]
    state, expected = Fraction(7, 2), []
    for decay, drive in zip(decays, drives, strict=True):
        state = decay * state + drive
        expected.append(float(state))
    a, b = (torch.tensor(list(map(float, row)))[None, :, None] for row in (decays, drives))
    assert linear_scan(a, b, torch.tensor([[3.5]])).flatten().tolist() == expected


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("time", [2, 13, 1000])
def test_decays_at_the_ends(value, time):
    """Of 0 the drive is left, of 1 the sum of all drives; neither is a special case."""
    _, drive, start = operands(time)
    given = (torch.full_like(drive, value), drive, start)
    states, gradients = with_gradients(linear_scan, given)
    expected = drive if value == 0 else start.unsqueeze(1) + drive.cumsum(1)
    torch.testing.assert_close(states, expected, rtol=1e-12, atol=1e-11)
    _, theirs = with_gradients(plain, given)
    torch.testing.assert_close(gradients, theirs, rtol=1e-12, atol=1e-11)


def test_a_decay_of_0_in_the_middle_cuts_exactly():
    decay, drive, start = operands(40)
    decay[:, 17] = 0.0
    changed = linear_scan(decay, drive, start + 1e6)
    assert torch.equal(changed[:, 17:], linear_scan(decay, drive, start)[:, 17:])


@pytest.mark.parametrize(
    ("low", "high", "bound"), [(0.0, 0.05, 2.0), (0.0, 1.0, 3.0), (0.99, 1.0, 20.0)]
)
def test_float32_at_1000_steps(low, high, bound):
    """`bound` rounding errors of the largest number; the plain loop's are as many."""
    exact = with_gradients(linear_scan, operands(1000, low=low, high=high))
    given = [part.float() for part in operands(1000, low=low, high=high)]
    states, gradients = with_gradients(linear_scan, given)
    epsilon = torch.finfo(torch.float32).eps
    for ours, theirs in zip((states, *gradients), (exact[0], *exact[1]), strict=True):
        assert ours.dtype == torch.float32
        error = (ours.double() - theirs).abs().max() / theirs.abs().max()
        assert error < bound * epsilon


def test_products_that_underflow_are_harmless():
    """0.01 ** 1000 is no float64: dividing by such a product, or its logarithm's sum, would be."""
    decay, drive, start = operands(1000, low=0.0, high=0.01)
    states, gradients = with_gradients(linear_scan, (decay.float(), drive.float(), start.float()))
    assert all(part.isfinite().all() for part in (states, *gradients))


def test_bfloat16_is_summed_in_float32():
    decay, drive, start = (part.bfloat16() for part in operands(1000, low=0.9, high=1.0))
    states, gradients = with_gradients(linear_scan, (decay, drive, start))
    assert states.dtype == torch.float32
    assert {part.dtype for part in gradients} == {torch.bfloat16}
    exact, expected = with_gradients(linear_scan, (decay.double(), drive.double(), start.double()))
    torch.testing.assert_close(states.double(), exact, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=2**-8, atol=1e-4)
    assert linear_scan(decay, drive, start.float()).dtype == torch.float32


def test_windows_join_up():
    given = decay, drive, start = operands(50)
    whole = linear_scan(*given)
    for cut in (1, 2, 25, 49):
        left = linear_scan(decay[:, :cut], drive[:, :cut], start)
        right = linear_scan(decay[:, cut:], drive[:, cut:], left[:, -1])
        torch.testing.assert_close(torch.cat([left, right], 1), whole, rtol=1e-12, atol=1e-13)


def test_strided_operands_are_read_rightly_and_left_alone():
    gates = torch.rand(3, 35, 8, dtype=torch.float64)
    before, start = gates.clone(), torch.zeros(3, 4, dtype=torch.float64)
    decay, drive = gates.chunk(2, dim=-1)
    torch.testing.assert_close(linear_scan(decay, drive, start), plain(decay, drive, start))
    assert torch.equal(gates, before)
    assert not start.any()


def test_the_graph_has_no_steps():
    decay, drive, start = (part.requires_grad_() for part in operands(500))
    states = linear_scan(decay, drive, start)  # in some versions of torch it keeps its nodes alive
    seen, queue = set(), [states.grad_fn]
    while queue:
        node = queue.pop()
        if node is not None and node not in seen:
            seen.add(node)
            queue.extend(parent for parent, _ in node.next_functions)
    assert len(seen) < 10


def test_no_step_is_refused():
    message = (
        "linear_scan expects decay and drive [batch time hidden] with a step in them and start "
        "[batch hidden], got [2, 0, 3], [2, 0, 3] and [2, 3]"
    )
    with value_error(message):
        linear_scan(torch.zeros(2, 0, 3), torch.zeros(2, 0, 3), torch.zeros(2, 3))
