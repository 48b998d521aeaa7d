"""The GRU's own steps on a CPU: the cell's values and gradients, row by row, and when they run."""

import copy

import pytest
import torch
from torch import nn

from pipeline.encoders import GRU, Fused, GRUCell, MinGRU, Unrolled

TIME = 7
LENGTHS = [3, 7, 0, 5, 5, 1]


def fused_gru():
    return Fused(nn.GRU(4, 5, batch_first=True))


def oracle_of(leaf):
    """A loop over the cell with the weights of `leaf`."""
    unrolled = Unrolled(GRUCell(leaf.input_size, leaf.output_size, "after")).to(
        leaf.weights.input.dtype
    )
    with torch.no_grad():
        for ours, theirs in zip(unrolled.weights[:4], leaf.weights[:4], strict=True):
            ours.copy_(theirs)
    return unrolled


def row_by_row(unrolled, inputs, lengths, start):
    """Each row by itself and without padding; padded with zeros then."""
    states, finals = [], []
    for row, length in enumerate(lengths):
        state, carry = inputs.new_zeros(1, 0, unrolled.output_size), start[row : row + 1]
        if length:
            state, (carry,) = unrolled(inputs[row : row + 1, :length], carry=(carry,))
        states.append(nn.functional.pad(state, (0, 0, 0, inputs.shape[1] - length)))
        finals.append(carry)
    return torch.cat(states), torch.cat(finals)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)], ids=["f64", "f32"]
)
@pytest.mark.parametrize("lengths", [None, LENGTHS, [TIME] * 6, [2] * 6, [0] * 6], ids=str)
def test_rows_of_any_lengths_are_the_cell_on_each_row(lengths, dtype, tolerance):
    torch.manual_seed(1)
    leaf = fused_gru().to(dtype)
    unrolled = oracle_of(leaf)
    inputs, signal = (torch.randn(6, TIME, size, dtype=dtype) for size in (4, 5))
    start = torch.randn(6, 5, dtype=dtype)
    real = lengths or [TIME] * 6
    mask = torch.arange(TIME) < torch.tensor(real).unsqueeze(1)
    results = []
    for run in (
        lambda read, carry: leaf(read, lengths and torch.tensor(lengths), (carry,)),
        lambda read, carry: row_by_row(unrolled, read, real, carry),
    ):
        read, carry = inputs.clone().requires_grad_(), start.clone().requires_grad_()
        states, final = run(read, carry)
        final = final[0] if isinstance(final, tuple) else final
        states = states * mask.unsqueeze(-1)
        total = (states * signal).sum() + (final**2).sum()
        weights = (leaf if len(results) == 0 else unrolled).weights[:4]
        wanted = (read, carry, *weights)
        given = torch.autograd.grad(total, wanted, allow_unused=True)
        gradients = [
            torch.zeros_like(to) if part is None else part
            for part, to in zip(given, wanted, strict=True)
        ]
        results.append((states, final, gradients))
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


def test_a_loss_on_the_final_state_alone_is_enough():
    leaf = fused_gru().double()
    inputs = torch.randn(3, TIME, 4, dtype=torch.float64)
    lengths = torch.tensor([7, 2, 4])
    parameters = list(leaf.parameters())
    (after,) = leaf(inputs, lengths).carry
    last = leaf(inputs, lengths).states[torch.arange(3), lengths - 1]
    torch.testing.assert_close(
        torch.autograd.grad(after.square().sum(), parameters),
        torch.autograd.grad(last.square().sum(), parameters),
    )


def test_the_gradient_that_is_given_is_left_as_it_is():
    leaf = fused_gru().double()
    states, (after,) = leaf(torch.randn(3, TIME, 4, dtype=torch.float64), torch.tensor([7, 2, 4]))
    given = [torch.randn_like(states), torch.randn_like(after)]
    before = [gradient.clone() for gradient in given]
    torch.autograd.backward([states, after], given)
    assert all(torch.equal(*pair) for pair in zip(given, before, strict=True))


def test_states_may_be_changed_in_place_and_keep_nothing_else_alive():
    states = fused_gru()(torch.randn(3, TIME, 4)).states
    assert states.untyped_storage().nbytes() == states.numel() * 4
    states.masked_fill_(states > 0, 0.0).sum().backward()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, torch.zeros(0, dtype=torch.long)])
def test_no_rows(bidirectional, lengths):
    encoder = GRU(4, 5, bidirectional=bidirectional)
    states, ((after,),) = encoder(torch.zeros(0, TIME, 4), lengths)
    assert states.shape == (0, TIME, 5 * (1 + bidirectional))
    assert after.shape == (0, 5)


@pytest.mark.parametrize("kind", [GRU, MinGRU])
def test_a_second_derivative_is_refused_where_it_would_be_wrong(kind):
    encoder, inputs = kind(4, 5), torch.randn(2, TIME, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"has no second derivative, but create_graph=True"):
        torch.autograd.grad(encoder(inputs).states.sum(), inputs, create_graph=True)


def test_inputs_of_another_dtype_are_told_by_torch():
    with pytest.raises(ValueError, match="dtype"):
        fused_gru()(torch.randn(2, TIME, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("settings", "steps", "lengths", "own"),
    [
        ({}, 6, None, True),
        ({}, 5, None, False),
        ({}, 6, [6, 2], True),
        ({"num_layers": 3}, 6, None, True),
        ({"num_layers": 2, "bidirectional": True}, 6, None, True),
        ({"num_layers": 2, "bidirectional": True}, 6, [6, 2], True),
    ],
)
def test_where_they_run(settings, steps, lengths, own):
    encoder = GRU(4, 6, **settings)
    inputs, rows = torch.randn(2, steps, 4), None if lengths is None else torch.tensor(lengths)
    assert runs_steps(encoder, inputs, rows) is own
    with torch.no_grad():
        # Without a gradient only padding is saved, where there is enough of it.
        assert runs_steps(encoder, inputs, rows) is (lengths is not None)
        assert not runs_steps(encoder, inputs, torch.tensor([steps, steps - 1]))
    with torch.autocast("cpu", torch.bfloat16):
        assert not runs_steps(encoder, inputs, rows)
    assert not runs_steps(encoder.to(torch.bfloat16), inputs.to(torch.bfloat16), rows)


def runs_steps(encoder, inputs, lengths):
    with torch.profiler.profile() as profile:
        encoder(inputs, lengths)
    keys = {event.key for event in profile.key_averages()}
    assert ("_Steps" in keys) is not ("aten::gru" in keys)
    return "_Steps" in keys


def test_a_hook_on_the_kernel_is_called():
    leaf, seen = fused_gru(), []
    leaf.kernel.register_forward_hook(lambda *_: seen.append(1))
    leaf(torch.randn(2, TIME, 4))
    assert seen == [1]


def test_dropped_weights_are_dropped_at_all_steps():
    torch.manual_seed(1)
    leaf = Fused(nn.GRU(4, 5, batch_first=True), weight_dropout=0.5).double()
    inputs = torch.randn(3, TIME, 4, dtype=torch.float64)
    torch.manual_seed(2)
    states = leaf(inputs).states
    (gradient,) = torch.autograd.grad(states.sum(), leaf.weights.recurrent)
    torch.manual_seed(2)
    matrix = nn.functional.dropout(leaf.weights.recurrent.detach(), 0.5)
    assert torch.equal(gradient == 0, matrix == 0)
    plain = copy.deepcopy(leaf).eval()
    with torch.no_grad():
        plain.weights.recurrent.copy_(matrix)
    torch.testing.assert_close(plain(inputs).states, states)


def test_lengths_are_checked_before_they_index():
    with pytest.raises(
        ValueError, match=r"^lengths must be between 0 and 7 \(time\), got \[8, 1\]$"
    ):
        fused_gru()(torch.randn(2, TIME, 4), torch.tensor([8, 1]))
