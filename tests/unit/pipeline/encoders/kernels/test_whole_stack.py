"""A stack in one call of a kernel: the same as a call per leaf, taken where it can be."""

from functools import partial

import pytest
import torch

from pipeline.encoders import GRU, LSTM, Elman
from pipeline.encoders.kernels.whole_stack import _in_one_block, _weights, run_together
from pipeline.encoders.layers.fused import KERNEL_WEIGHTS
from tests.examples import autocast_or_not

KINDS = {
    "elman": (Elman, "rnn_tanh"),
    "elman-relu": (partial(Elman, nonlinearity="relu"), "rnn_relu"),
    "gru": (GRU, "gru"),
    "lstm": (LSTM, "lstm"),
}


def calls(kernel, run):
    with torch.profiler.profile() as profile:
        run()
    counts = {event.key: event.count for event in profile.key_averages()}
    return counts.get(f"aten::{kernel}", 0)


def nested(carry):
    return tuple(part for layer in carry for part in layer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("num_layers", "bidirectional"), [(2, False), (3, False), (1, True), (3, True)]
)
@pytest.mark.parametrize("carried", [False, True])
def test_one_call_is_a_call_per_leaf(kind, num_layers, bidirectional, carried):
    torch.manual_seed(1)
    encoder = KINDS[kind][0](3, 4, num_layers, bidirectional).double()
    read, signal = (torch.randn(2, 3, size, dtype=torch.float64) for size in (3, 4))
    signal = signal.repeat(1, 1, 1 + bidirectional)
    carry = None
    if carried:
        carry = tuple(
            tuple(torch.randn_like(part).requires_grad_() for part in layer)
            for layer in encoder.initial_carry(2)
        )
    results = []
    for way in (encoder.layers, partial(run_together, encoder.layers)):
        inputs = read.clone().requires_grad_()
        states, after = way(inputs, None, carry)
        total = (states * signal).sum() + sum((part**2).sum() for part in nested(after))
        leaves = (inputs, *encoder.parameters(), *nested(carry or ()))
        results.append((states, after, torch.autograd.grad(total, leaves)))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoder_chooses(kind):
    make, kernel = KINDS[kind]
    inputs = torch.randn(3, 3, 4)  # so few steps that a GRU does not take its own, see test_gru.py
    for settings, lengths, expected in [
        ({"num_layers": 3}, None, 1),
        ({"num_layers": 3}, [3, 2, 0], 1),  # padding cannot reach a causal stack
        ({"num_layers": 2, "bidirectional": True}, None, 1),
        ({"num_layers": 2, "bidirectional": True}, [3, 3, 3], 1),
        ({"num_layers": 2, "bidirectional": True}, [3, 2, 3], 4),
        ({"num_layers": 3, "dropout": 0.5}, None, 3),
        ({"num_layers": 3, "dropout": 0.5, "variational": True}, None, 3),
        ({"num_layers": 3, "weight_dropout": 0.5}, None, 3),
        ({"num_layers": 3, "skip": "residual"}, None, 3),
        ({"num_layers": 3, "skip": "dense"}, None, 3),
        ({"num_layers": 3, "normalize": True}, None, 3),
        ({"num_layers": 3, "last_size": 2}, None, 3),
        ({"num_layers": 1}, None, 1),
    ]:
        encoder = make(4, 6, **settings)
        rows = None if lengths is None else torch.tensor(lengths)
        assert calls(kernel, lambda: encoder(inputs, rows)) == expected, settings  # noqa: B023
        if "dropout" in settings or "weight_dropout" in settings:
            encoder.eval()
            assert calls(kernel, lambda: encoder(inputs, rows)) == 1, settings  # noqa: B023


@pytest.mark.parametrize(
    "part",
    [
        lambda encoder: encoder.layers,
        lambda encoder: encoder.layers.layers[1],
        lambda encoder: encoder.layers.layers[1].dropout,
        lambda encoder: encoder.layers.layers[1].inner,
        lambda encoder: encoder.layers.layers[0].kernel,
    ],
    ids=["stack", "layer", "dropout", "leaf", "kernel"],
)
@pytest.mark.parametrize("hook", ["register_forward_hook", "register_full_backward_hook"])
def test_a_hook_is_called(part, hook):
    encoder, seen = LSTM(3, 4, 2), []
    handle = getattr(part(encoder), hook)(lambda *_: seen.append(1))
    encoder(torch.randn(2, 5, 3, requires_grad=True)).states.sum().backward()
    assert seen == [1]
    handle.remove()
    assert run_together(encoder.layers, torch.randn(2, 5, 3), None, None) is not None


def test_dropout_modules_alone_in_training_are_heard():
    """Monte Carlo dropout: the model in evaluation, its dropout in training."""
    encoder = LSTM(3, 4, 2, dropout=0.5).eval()
    encoder.layers.layers[1].dropout.train()
    inputs = torch.randn(2, 5, 3)
    assert not torch.equal(encoder(inputs).states, encoder(inputs).states)


def test_a_checkpoint_does_not_know_which_ran():
    together, apart = GRU(3, 4, 2).eval(), GRU(3, 4, 2, dropout=0.5).eval()
    apart.load_state_dict(together.state_dict())
    inputs = torch.randn(2, 5, 3)
    torch.testing.assert_close(tuple(apart.layers(inputs)), tuple(together(inputs)))


@autocast_or_not
def test_one_call_trains_on_onednn(autocast):
    torch.manual_seed(1)
    encoder, inputs = LSTM(4, 6, 2), torch.randn(3, 7, 4)
    exact = encoder.layers(inputs)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        encoded = encoder(inputs)
        assert calls("mkldnn_rnn_layer_backward", encoded.states.float().sum().backward) == 2
        again = encoder(inputs, carry=encoded.carry).states
    tolerance = 0.03 if autocast else 1e-6
    torch.testing.assert_close(encoded.states.float(), exact.states, rtol=0, atol=tolerance)
    expected = encoder.layers(inputs, carry=exact.carry).states
    torch.testing.assert_close(again.float(), expected, rtol=0, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.filterwarnings("error")
def test_cudnn_finds_all_weights_in_one_block():
    for bidirectional in (False, True):
        encoder = LSTM(4, 6, 3, bidirectional).cuda()
        inputs = torch.randn(3, 7, 4).cuda()
        encoded = encoder(inputs)
        encoded.states.sum().backward()
        torch.testing.assert_close(tuple(encoder.layers(inputs)), tuple(encoded))


def test_the_weights_go_to_the_kernel_leaf_by_leaf():
    encoder = GRU(3, 4, 2, bidirectional=True)
    leaves = [part for part in encoder.modules() if hasattr(part, "kernel")]
    given = _weights([leaves[:2], leaves[2:]])
    expected = [getattr(leaf.kernel, name) for leaf in leaves for name in KERNEL_WEIGHTS]
    assert all(ours is theirs for ours, theirs in zip(given, expected, strict=True))


def test_one_piece_has_the_matrices_before_the_biases():
    """The order of cuDNN; whether it takes them so is the test for a GPU above."""
    encoder = LSTM(3, 4, 2)
    given = [
        list(leaf.kernel.parameters()) for leaf in encoder.modules() if hasattr(leaf, "kernel")
    ]
    copies = _in_one_block(given)
    torch.testing.assert_close(copies, given)
    (a, b, c, d), (e, f, g, h) = copies
    places = [weight.data_ptr() for weight in (a, b, e, f, c, d, g, h)]
    sizes = [4 * weight.numel() for weight in (a, b, e, f, c, d, g, h)]
    assert places == [places[0] + sum(sizes[:index]) for index in range(8)]
    sum(weight.sum() for four in copies for weight in four).backward()
    assert all((weight.grad == 1).all() for four in given for weight in four)
