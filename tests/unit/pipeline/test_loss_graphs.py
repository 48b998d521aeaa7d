"""Recorded losses against plain calls; on a CPU by a recording that overwrites its tensors."""

import copy

import pytest
import torch
from torch import nn

from pipeline.encoders import LSTM, MogrifierLSTM
from pipeline.loss_graphs import LossGraphs, is_recordable
from tests.recordings import recorded_on_the_cpu


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.unused = nn.Linear(3, 2), nn.Linear(2, 2)

    def loss(self, inputs, state):
        state = torch.tanh(self.linear(inputs) + state)
        return state.square().sum(), state.detach()


@pytest.fixture
def pair():
    """A network whose loss is recorded, its recordings, and a network that runs plainly."""
    network, plain = Network(), Network()
    graphs = LossGraphs(network, limit=2)
    return network, graphs, recorded_on_the_cpu(graphs), plain


def train(network, call, rows=(4, 4, 4, 4, 3, 4, 3, 3, 3, 4), accumulate=1):
    """Trains and returns losses, states and weights; the state is passed on as a carry."""
    generator, found = torch.Generator().manual_seed(1), []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    state = torch.zeros(1, 2)
    for number, count in enumerate(rows):
        loss, states = call(torch.randn(count, 3, generator=generator), state)
        state = states[:1]
        loss.backward()
        if number % accumulate == accumulate - 1:
            optimizer.step()
            optimizer.zero_grad()
        found += [loss.detach(), states]
    return [*found, *(each.detach().clone() for each in network.parameters())]


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_training_is_bit_identical(pair, accumulate):
    network, graphs, made, plain = pair
    recorded = train(network, lambda *given: graphs(network.loss, *given), accumulate=accumulate)
    for one, other in zip(recorded, train(plain, plain.loss, accumulate=accumulate), strict=True):
        assert torch.equal(one, other)
    assert len(made) == 2  # of four and of three rows


def test_a_shape_is_recorded_at_its_third_run(pair):
    network, graphs, made, _ = pair
    for number in range(4):
        graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
        assert len(made) == (number >= 2)


def test_constants_and_shapes_have_recordings_of_their_own_up_to_the_limit(pair):
    network, graphs, made, _ = pair
    for _ in range(5):
        for count in (1, 2, 3):
            for factor in (1.0, 2.0):
                found, _ = graphs(
                    lambda x, h, f=factor: (f * network.loss(x, h)[0], h),
                    torch.ones(count, 3),
                    torch.zeros(1, 2),
                    constants=factor,
                )
                expected = factor * network.loss(torch.ones(count, 3), torch.zeros(1, 2))[0]
                assert torch.equal(found, expected)
    assert len(made) == 2


def test_a_second_forward_pass_before_the_backward_pass_is_plain(pair):
    network, graphs, _, plain = pair
    one, other = torch.ones(1, 3), -torch.ones(1, 3)
    state = torch.zeros(1, 2)
    for _ in range(4):
        first, second = (graphs(network.loss, each, state)[0] for each in (one, other))
        (first + 2 * second).backward()
    for _ in range(4):
        (plain.loss(one, state)[0] + 2 * plain.loss(other, state)[0]).backward()
    assert torch.equal(network.linear.weight.grad, plain.linear.weight.grad)


def test_a_loss_that_was_never_differentiated_does_not_block(pair):
    network, graphs, made, _ = pair
    for _ in range(3):
        graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    runs = []
    made[0].forward = lambda: runs.append(1)
    graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    assert runs == [1]


def test_moved_parameters_are_recorded_again(pair):
    network, graphs, made, _ = pair
    for _ in range(3):
        graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    network.linear.weight.data = torch.ones(2, 3)
    found, _ = graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    assert torch.equal(found, network.loss(torch.ones(1, 3), torch.zeros(1, 2))[0])
    assert len(made) == 2


@pytest.mark.parametrize("case", ["evaluation", "no gradient", "hook", "replaced", "off", "device"])
def test_plain_calls(pair, case):
    network, graphs, made, _ = pair
    if case == "evaluation":
        network.eval()
    elif case == "hook":
        network.linear.register_forward_hook(lambda *_: None)
    elif case == "replaced":
        network.linear.forward = network.linear.forward
    elif case == "off":
        graphs.enabled = False
    elif case == "device":
        graphs._device = "cuda"
    for _ in range(5):
        with torch.set_grad_enabled(case != "no gradient"):
            graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    assert not made


def test_a_failed_recording_is_told_once_and_training_continues(pair, capsys):
    network, graphs, _, _ = pair

    def fail(*_):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    graphs._make_recording = fail
    for _ in range(5):
        loss, _ = graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
        loss.backward()
    told = capsys.readouterr().err
    assert told.count("without CUDA graphs") == 1
    assert "operation not permitted" in told
    assert "more" not in told


def test_second_derivatives_are_refused(pair):
    network, graphs, _, _ = pair
    for _ in range(3):
        loss, _ = graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    with pytest.raises(RuntimeError, match="differentiated twice"):
        torch.autograd.grad(loss, network.linear.weight, create_graph=True)


def test_copies_have_no_recordings(pair):
    network, graphs, made, _ = pair
    for _ in range(3):
        graphs(network.loss, torch.ones(1, 3), torch.zeros(1, 2))
    copied = copy.deepcopy(graphs)
    assert copied._module is not network
    assert len(made) == 1
    assert not copied._replays


class Mine(nn.Linear):
    """A class of a user; its module is not in the package."""


def test_only_known_parts_are_recorded():
    assert is_recordable(LSTM(2, 3), None, nn.Linear(2, 2))
    assert not is_recordable(nn.Sequential(Mine(2, 2)))
    Mine.is_recordable = True
    assert is_recordable(nn.Sequential(Mine(2, 2)))
    del Mine.is_recordable


class Dropped(nn.Module):
    """An encoder between dropouts, with a loss that every parameter takes part in."""

    def __init__(self, make):
        super().__init__()
        torch.manual_seed(0)
        self.dropout, self.encoder = nn.Dropout(0.5), make(16, 16, num_layers=2)

    def loss(self, inputs, *parts):
        carry = ((parts[:2]), (parts[2:])) if parts else None
        states, carry = self.encoder(self.dropout(inputs), carry=carry)
        return self.dropout(states).square().mean(), *(p.detach() for each in carry for p in each)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [LSTM, MogrifierLSTM])
def test_on_a_gpu(make, precision):
    traces = []
    for recorded in (False, True):
        network = Dropped(make).cuda()
        graphs = LossGraphs(network)
        graphs.enabled = recorded
        traces.append(_train_on_a_gpu(network, graphs, precision))
        assert graphs.enabled == recorded, "the recording failed"
        assert bool(graphs._replays) == recorded
    for plain, graphed in zip(*traces, strict=True):
        assert torch.equal(plain, graphed)


@pytest.mark.gpu
def test_training_continues_after_a_failed_recording(capsys):
    network = Dropped(LSTM).cuda()
    graphs = LossGraphs(network)

    def loss(inputs):
        value, *_ = network.loss(inputs)
        return (value / value.item(),)  # the host must not read a value while it records

    for _ in range(5):
        found = graphs(loss, torch.randn(4, 6, 16, device="cuda"))[0]
        found.backward()
        assert float(found.detach()) == pytest.approx(1)
    assert capsys.readouterr().err.count("without CUDA graphs") == 1


def _train_on_a_gpu(network, graphs, precision):
    torch.manual_seed(2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    data = torch.randn(12, 4, 6, 16, device="cuda")
    carry = tuple(torch.zeros(4, 16, device="cuda") for _ in range(4))
    losses = []
    for step, inputs in enumerate(data):
        torch.cuda.set_sync_debug_mode("error" if step > 5 else "default")
        with torch.autocast("cuda", precision or torch.bfloat16, enabled=precision is not None):
            loss, *carry = graphs(network.loss, inputs, *(part.float() for part in carry))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())  # `loss` lives on: its graph must not disturb a recording
    torch.cuda.set_sync_debug_mode("default")
    weights = [each.detach() for each in network.parameters()]
    return [torch.stack(losses), *weights, torch.cuda.get_rng_state()]
