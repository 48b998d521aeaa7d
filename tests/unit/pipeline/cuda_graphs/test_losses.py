"""Recorded losses against plain calls; on a CPU by recordings that overwrite their tensors."""

import pytest
import torch
from torch import nn

from pipeline.cuda_graphs import replay
from pipeline.cuda_graphs.losses import replayed_loss
from pipeline.cuda_graphs.replay import _REPLAYS, cuda_graphs
from pipeline.encoders import LSTM, MogrifierLSTM
from tests.recordings import record_on_the_cpu


@pytest.fixture
def made(monkeypatch):
    """Records on the CPU; the list of all recordings."""
    with cuda_graphs(True):
        yield record_on_the_cpu(monkeypatch)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.unused = nn.Linear(3, 2), nn.Linear(2, 2)

    def loss(self, inputs, state):
        state = torch.tanh(self.linear(inputs) + state)
        return state.square().sum(), state.detach()


def train(network, recorded, rows=(4, 4, 4, 4, 3, 4, 3, 3, 3, 4), accumulate=1):
    """Trains and returns losses, states and weights; the state is passed on as a carry."""
    generator, found = torch.Generator().manual_seed(1), []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    state = torch.zeros(1, 2)
    for number, count in enumerate(rows):
        inputs = torch.randn(count, 3, generator=generator)
        with cuda_graphs(recorded):
            loss, states = replayed_loss(network, network.loss, inputs, state)
        state = states[:1]
        loss.backward()
        if number % accumulate == accumulate - 1:
            optimizer.step()
            optimizer.zero_grad()
        found += [loss.detach(), states]
    return [*found, *(each.detach().clone() for each in network.parameters())]


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_training_is_bit_identical(made, accumulate):
    expected = train(Network(), False, accumulate=accumulate)
    found = train(Network(), True, accumulate=accumulate)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert len(made) == 2  # of four and of three rows


def test_other_settings_are_recorded_separately(made):
    network = Network()
    inputs, state = torch.ones(1, 3), torch.zeros(1, 2)
    for _ in range(5):
        for factor in (1.0, 2.0):

            def loss(x, h, f=factor):
                return f * network.loss(x, h)[0], h

            found, _ = replayed_loss(network, loss, inputs, state, settings=factor)
            assert torch.equal(found, factor * network.loss(inputs, state)[0])
    assert len(made) == 2


def test_two_losses_before_one_backward_pass(made):
    network, plain = Network(), Network()
    one, other, state = torch.ones(1, 3), -torch.ones(1, 3), torch.zeros(1, 2)
    for _ in range(4):
        parts = (replayed_loss(network, network.loss, each, state)[0] for each in (one, other))
        (next(parts) + 2 * next(parts)).backward()
        (plain.loss(one, state)[0] + 2 * plain.loss(other, state)[0]).backward()
    assert torch.equal(network.linear.weight.grad, plain.linear.weight.grad)
    assert made


@pytest.mark.parametrize("name", ["weight", "buffer"])
def test_tensors_at_other_addresses_are_recorded_again(made, name):
    network = Network()
    network.register_buffer("buffer", torch.ones(()))

    def loss(inputs):
        return (network.linear(inputs).sum() * network.buffer,)

    for number in (1, 2):
        for _ in range(3):
            replayed_loss(network, loss, torch.ones(1, 3))
        assert len(made) == number
        if name == "weight":
            network.linear.weight.data = torch.ones(2, 3)
        else:
            network.buffer = torch.tensor(3.0)
        found = replayed_loss(network, loss, torch.ones(1, 3))[0]
        assert torch.equal(found, loss(torch.ones(1, 3))[0])


def test_gradients_are_not_overwritten_by_the_next_replay(made):
    network, state = Network(), torch.zeros(1, 2)
    found = []
    for number in range(6):
        loss, _ = replayed_loss(network, network.loss, torch.full((1, 3), float(number)), state)
        found.append(torch.autograd.grad(loss, network.linear.weight)[0])
    for number, gradient in enumerate(found):
        loss, _ = network.loss(torch.full((1, 3), float(number)), state)
        assert torch.equal(gradient, torch.autograd.grad(loss, network.linear.weight)[0])
    assert made


def test_a_layer_of_the_module_is_not_recorded_too(made):
    network = nn.ModuleDict({"encoder": MogrifierLSTM(3, 2)})
    for _ in range(6):
        replayed_loss(network, lambda x: (network["encoder"](x).states.sum(),), torch.ones(1, 5, 3))
    assert len(made) == 1


def test_a_failed_recording_forgets_those_of_other_modules(made, monkeypatch, capsys):
    one, other = Network(), Network()
    inputs = torch.ones(1, 3), torch.zeros(1, 2)
    for _ in range(3):
        replayed_loss(one, one.loss, *inputs)
    assert _REPLAYS[one]._slots
    with monkeypatch.context() as patch:

        def fail(*_):
            raise RuntimeError("out of memory")

        patch.setattr(replay, "record_cuda", fail)
        for _ in range(3):
            replayed_loss(other, other.loss, *inputs)
    assert not _REPLAYS[one]._slots
    assert "because recording one failed: out of memory" in capsys.readouterr().err
    for _ in range(3):
        replayed_loss(one, one.loss, *inputs)
    assert len(made) == 2


class Dropped(nn.Module):
    """An encoder between dropouts."""

    def __init__(self, make):
        super().__init__()
        torch.manual_seed(0)
        self.dropout, self.encoder = nn.Dropout(0.5), make(16, 16, 2)

    def loss(self, inputs, *parts):
        states, carry = self.encoder(self.dropout(inputs), carry=(parts[:2], parts[2:]))
        value = self.dropout(states).square().mean()
        return value, *(part.detach() for each in carry for part in each)


def train_on_a_gpu(network, precision):
    torch.manual_seed(2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    data = torch.randn(12, 4, 6, 16, device="cuda")
    carry = tuple(torch.zeros(4, 16, device="cuda") for _ in range(4))
    losses = []
    for step, inputs in enumerate(data):
        torch.cuda.set_sync_debug_mode("error" if step > 5 else "default")
        with torch.autocast("cuda", precision or torch.bfloat16, enabled=precision is not None):
            carry = tuple(part.float() for part in carry)
            loss, *carry = replayed_loss(network, network.loss, inputs, *carry)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())  # `loss` lives on: its graph must not disturb a recording
    torch.cuda.set_sync_debug_mode("default")
    weights = [each.detach() for each in network.parameters()]
    return [torch.stack(losses), *weights, torch.cuda.get_rng_state()]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [LSTM, MogrifierLSTM])
def test_on_a_gpu(make, precision):
    traces = []
    for recorded in (False, True):
        network = Dropped(make).cuda()
        with cuda_graphs(recorded):
            traces.append(train_on_a_gpu(network, precision))
        assert (network in _REPLAYS) == recorded
    assert _REPLAYS[network]._slots
    for plain, replayed in zip(*traces, strict=True):
        torch.testing.assert_close(plain, replayed, rtol=1e-5, atol=1e-6)
    assert torch.equal(traces[0][-1], traces[1][-1])  # as many random numbers


@pytest.mark.gpu
def test_training_continues_after_a_failed_recording(capsys):
    network = Network().cuda()

    def loss(inputs):
        value = torch.dropout(network.linear(inputs), 0.5, True).square().sum()
        return (value / value.item(),)  # the host must not read a value while it records

    with cuda_graphs(True):
        for _ in range(5):
            found = replayed_loss(network, loss, torch.randn(9, 3, device="cuda"))[0]
            found.backward()
            assert float(found.detach()) == pytest.approx(1)
    assert capsys.readouterr().err.count("without CUDA graphs") == 1
