"""CUDA graphs against loops, on a GPU; `test_replay` has the rules of when a call is replayed."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.utils._pytree import tree_map

from pipeline.cuda_graphs import replay
from pipeline.encoders import LSTM, SRU, CoupledLSTM, Encoder, MogrifierLSTM
from tests.unit.pipeline.cuda_graphs.test_replay import FEATURES, HIDDEN, LOOPS

pytestmark = pytest.mark.gpu
ROWS, STEPS = 6, 12


@pytest.fixture(autouse=True)
def graphs():
    with replay.cuda_graphs(True):
        yield


@contextmanager
def nothing_waits() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def batch(seed, rows=ROWS, steps=STEPS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, steps, FEATURES, generator=generator).double().cuda()


def slots(encoder: Encoder):
    """All recordings of an encoder."""
    found = (replay._REPLAYS.get(module) for module in encoder.modules())
    return [slot for replays in found if replays for slot in replays._slots.values()]


def failed(encoder: Encoder):
    found = (replay._REPLAYS.get(module) for module in encoder.modules())
    return any(replays is not None and replays._failed for replays in found)


def train(encoder, inputs, carry, rate=0.1):
    """One step of training; returns states, carry and all gradients."""
    read = inputs.clone().requires_grad_()
    encoded = encoder(read, carry=carry)
    encoder.zero_grad()
    encoded.states.float().square().sum().backward()
    gradients = [read.grad, *(parameter.grad.clone() for parameter in encoder.parameters())]
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.sub_(parameter.grad, alpha=rate)
    return encoded.states.detach(), tree_map(torch.Tensor.detach, encoded.carry), gradients


@pytest.mark.parametrize("kind", LOOPS)
def test_training_with_graphs_is_training_with_loops(kind):
    torch.manual_seed(1)
    encoder = LOOPS[kind]().double().cuda()
    plain = copy.deepcopy(encoder)
    carries = [encoder.initial_carry(ROWS)] * 2
    for seed in range(8):
        inputs = batch(seed)
        states, after, gradients = train(encoder, inputs, carries[0])
        with replay.cuda_graphs(False):
            expected = train(plain, inputs, carries[1])
        torch.testing.assert_close((states, after, gradients), expected, rtol=1e-9, atol=1e-11)
        carries = [after, expected[1]]
    assert slots(encoder)
    assert not failed(encoder)


@pytest.mark.parametrize("kind", LOOPS)
def test_gradients_of_the_carry(kind):
    torch.manual_seed(1)
    encoder = LOOPS[kind]().double().cuda()
    first = encoder(batch(0)).carry
    for seed in range(5):
        found = []
        start = tree_map(lambda part: part.detach().requires_grad_(), first)
        for is_plain in (False, True):
            with torch.enable_grad() if not is_plain else replay.cuda_graphs(False):
                states, after = encoder(batch(seed), carry=start)
            flat = [part for layer in after for part in layer]
            total = states.square().sum() + sum(part.sin().sum() for part in flat)
            wanted = [part for layer in start for part in layer]
            found.append(torch.autograd.grad(total, wanted, allow_unused=True))
        torch.testing.assert_close(*found, rtol=1e-9, atol=1e-11)
    assert not failed(encoder)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "16"])
@pytest.mark.parametrize("kind", LOOPS)
def test_mixed_precision(kind, dtype):
    torch.manual_seed(1)
    encoder = LOOPS[kind]().cuda()
    plain = copy.deepcopy(encoder)
    for seed in range(6):
        found = []
        for module, is_plain in ((encoder, False), (plain, True)):
            with (
                replay.cuda_graphs(False) if is_plain else torch.enable_grad(),
                torch.autocast("cuda", dtype),
            ):
                read = batch(seed).float().requires_grad_()
                states = module(read).states
            module.zero_grad()
            states.float().square().sum().backward()
            found.append((states, [parameter.grad.clone() for parameter in module.parameters()]))
        torch.testing.assert_close(*found, rtol=1e-2, atol=1e-2)
        with torch.no_grad():  # the same step for both: only the weights of now may be used
            for ours, theirs in zip(encoder.parameters(), plain.parameters(), strict=True):
                theirs.mul_(1.1)
                ours.copy_(theirs)
    assert slots(encoder)
    assert not failed(encoder)


def test_weight_dropout_is_drawn_anew():
    torch.manual_seed(1)
    encoder = CoupledLSTM(FEATURES, HIDDEN, weight_dropout=0.5).double().cuda()
    for seed in range(5):
        found = []
        for is_plain in (False, True):
            torch.manual_seed(seed)
            with replay.cuda_graphs(False) if is_plain else torch.enable_grad():
                states = encoder(batch(0)).states
            gradients = torch.autograd.grad(states.square().sum(), list(encoder.parameters()))
            found.append((states, gradients))
        torch.testing.assert_close(*found)
    assert slots(encoder)


def test_evaluation_changing_shapes_and_loading():
    torch.manual_seed(1)
    encoder, other = (MogrifierLSTM(FEATURES, HIDDEN, 2).double().cuda() for _ in range(2))

    def check():
        for context in (torch.enable_grad, torch.no_grad, torch.inference_mode):
            with context():
                for rows, steps in ((6, 12), (3, 12), (6, 9)) * 4:
                    inputs = batch(rows, rows, steps)
                    states = encoder(inputs).states
                    with replay.cuda_graphs(False):
                        torch.testing.assert_close(states, encoder(inputs).states)

    check()
    recorded = len(slots(encoder))
    assert recorded == 2 * 3 * 3  # layers, contexts and shapes
    encoder.load_state_dict(other.state_dict())
    check()
    assert len(slots(encoder)) == recorded
    encoder.eval()
    check()
    encoder.cpu()
    encoder.cuda()
    check()
    assert not failed(encoder)


def test_a_call_before_the_gradient_of_another():
    torch.manual_seed(1)
    encoder = SRU(FEATURES, HIDDEN, 2).double().cuda()
    for seed in range(6):
        found = []
        for is_plain in (False, True):
            with replay.cuda_graphs(False) if is_plain else torch.enable_grad():
                kept = encoder(batch(seed))
                read = encoder(batch(seed + 1), carry=tree_map(torch.Tensor.detach, kept.carry))
            total = (kept.states * read.states).sum()
            found.append(torch.autograd.grad(total, list(encoder.parameters())))
        torch.testing.assert_close(*found)
    assert slots(encoder)


@pytest.mark.parametrize("kind", ["two layers both ways", "sru", "slstm", "gru-before"])
def test_training_of_a_recorded_encoder_waits_for_nothing(kind):
    encoder = LOOPS[kind]().double().cuda()
    carry, lengths = encoder.initial_carry(ROWS), torch.tensor([12, 3, 0, 5, 12, 1])
    inputs = [batch(seed) for seed in range(3)]
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)

    def step(read):
        encoded = encoder(read, lengths, carry)
        encoded.states.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return tree_map(torch.Tensor.detach, encoded.carry)

    for read in (*inputs, *inputs):
        carry = step(read)
    assert slots(encoder)
    with nothing_waits():
        for read in inputs:
            carry = step(read)


def test_a_replayed_layer_launches_few_kernels():
    encoder = CoupledLSTM(FEATURES, HIDDEN).cuda()
    inputs = batch(0, steps=35).float()

    def launches():
        with torch.profiler.profile() as profile:
            encoder(inputs).states.sum().backward()
        names = ("cudaLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
        return sum(event.count for event in profile.key_averages() if event.key in names)

    before = launches()
    for _ in range(4):
        encoder(inputs).states.sum().backward()
    assert launches() < before / 10


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("settings", [{}, {"dropout": 0.3}, {"weight_dropout": 0.3}], ids=str)
def test_cudnn_never_warns_of_scattered_weights(settings, bidirectional):
    encoder = LSTM(FEATURES, HIDDEN, 2, bidirectional, **settings).cuda()
    inputs, lengths = batch(0).float(), torch.tensor([12, 3, 0, 5, 12, 1])
    for change in (lambda: None, lambda: encoder.load_state_dict(encoder.state_dict())):
        change()
        for mode in (True, False):
            encoder.train(mode)
            for given in (None, lengths):
                states = encoder(inputs, given).states
                if mode:  # cuDNN computes no gradients otherwise
                    states.sum().backward()
    encoder.train().cpu()
    encoder.cuda()
    copy.deepcopy(encoder)(inputs).states.sum().backward()


def test_random_numbers_and_memory_of_many_layers():
    """Layers whose graphs were recorded in another order than they are used in."""
    torch.manual_seed(1)
    low, high = (CoupledLSTM(FEATURES, FEATURES).double().cuda() for _ in range(2))
    for seed in range(4):
        high(batch(seed)).states.sum().backward()  # recorded first, used last
    for seed in range(8):
        found = []
        for is_plain in (False, True):
            with replay.cuda_graphs(False) if is_plain else torch.enable_grad():
                states = high(low(batch(seed)).states).states
                with torch.no_grad():
                    low(batch(seed, 2)), high(batch(seed, 3))
            weights = [*low.parameters(), *high.parameters()]
            found.append(torch.autograd.grad(states.square().sum(), weights))
        torch.testing.assert_close(*found)
    assert slots(low)
    assert slots(high)
