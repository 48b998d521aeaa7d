"""When calls are recorded and replayed, with a recorder for the CPU that replays by computing.

Like CUDA graphs it reads and writes tensors of fixed addresses, and forgets a call at the next.
"""

import copy
import gc
import weakref
from functools import partial

import pytest
import torch

from pipeline.cuda_graphs import replay
from pipeline.cuda_graphs.recording import Recording, Traced, static_copies, zeros_for
from pipeline.encoders import GRU, SLSTM, SRU, CoupledLSTM, Elman, LSTMCell, MinGRU
from pipeline.float32 import tf32
from tests.recordings import record_on_the_cpu
from tests.unit.pipeline.encoders.test_laws import KINDS

ROWS, STEPS, FEATURES, HIDDEN = 2, 5, 3, 4
KERNELS = ("elman-tanh", "elman-relu", "gru-after", "lstm", "irnn")
LOOPS = {
    **{
        kind: partial(make, FEATURES, HIDDEN) for kind, make in KINDS.items() if kind not in KERNELS
    },
    "two layers both ways": partial(CoupledLSTM, FEATURES, HIDDEN, 2, True),
}


@pytest.fixture
def recordings(monkeypatch):
    """Records on the CPU; the list of all recordings."""
    with replay.cuda_graphs(True):
        yield record_on_the_cpu(monkeypatch)


def batch(seed, time=STEPS, rows=ROWS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, time, FEATURES, generator=generator, dtype=torch.float64)


def step(encoder, seed, time=STEPS):
    """States, carry and gradients of one call that reads the carry of another."""
    inputs = batch(seed, time).requires_grad_()
    with torch.no_grad(), replay.cuda_graphs(False):
        carry = encoder(batch(seed + 100, 2)).carry
    start = [part.clone().requires_grad_() for layer in carry for part in layer]
    rest = iter(start)
    nested = tuple(tuple(next(rest) for _ in layer) for layer in carry)
    states, after = encoder(inputs, carry=nested)
    flat = [part for layer in after for part in layer]
    total = states.square().sum() + sum(part.sin().sum() for part in flat)
    wanted = [inputs, *start, *encoder.parameters()]
    return [states, *flat], torch.autograd.grad(total, wanted, allow_unused=True)


def warm(encoder, time=STEPS):
    for seed in range(4):
        encoder(batch(seed, time))


@pytest.mark.parametrize("kind", LOOPS)
def test_replayed_steps_train_as_loops_do(kind, recordings):
    encoder = LOOPS[kind]().double()
    plain = copy.deepcopy(encoder)
    for seed in range(6):
        found = step(encoder, seed)
        with replay.cuda_graphs(False):
            expected = step(plain, seed)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
        with torch.no_grad():  # in place, as optimizers do
            for module in (encoder, plain):
                for index, parameter in enumerate(module.parameters()):
                    parameter.add_(0.1 * (seed + 1), alpha=index + 1)
    assert recordings


def test_weight_dropout_is_drawn_anew_at_each_replay(recordings):
    encoder = CoupledLSTM(FEATURES, HIDDEN, weight_dropout=0.5).double()
    plain = copy.deepcopy(encoder)
    for training in (True, False, True):
        encoder.train(training)
        plain.train(training)
        for seed in range(4):
            torch.manual_seed(seed)
            found = step(encoder, seed)
            torch.manual_seed(seed)
            with replay.cuda_graphs(False):
                expected = step(plain, seed)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert len(recordings) == 2  # evaluation in between forgets nothing


def test_a_shape_is_recorded_at_its_third_call(recordings):
    encoder = SRU(FEATURES, HIDDEN).double()
    for time in (5, 6, 7, 8, 5, 6, 7):
        encoder(batch(0, time))
    assert not recordings
    encoder(batch(0, 5))
    assert len(recordings) == 1
    encoder(batch(0, 5))
    encoder(batch(0, 6))
    assert len(recordings) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda encoder: encoder.eval(),
        lambda encoder: encoder.requires_grad_(False),
        lambda encoder: encoder.layers.layers[0].cell.bias_ih.requires_grad_(False),
    ],
    ids=["evaluation", "all frozen", "one frozen"],
)
def test_other_settings_are_recorded_anew(change, recordings):
    encoder = SRU(FEATURES, HIDDEN).double()
    for count in (1, 2):
        for seed in range(4):
            states = encoder(batch(seed)).states
            with replay.cuda_graphs(False):
                torch.testing.assert_close(states, encoder(batch(seed)).states)
        assert len(recordings) == count
        change(encoder)


def test_other_precisions_are_recorded_anew(recordings):
    encoder = SRU(FEATURES, HIDDEN).double()
    for allowed in (False, True):
        with tf32(allowed):
            warm(encoder)
    assert len(recordings) == 2


def test_calls_without_gradients(recordings):
    encoder = SLSTM(FEATURES, HIDDEN).double()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            for seed in range(4):
                states = encoder(batch(seed)).states
                with replay.cuda_graphs(False):
                    torch.testing.assert_close(states, encoder(batch(seed)).states)
    assert len(recordings) == 2
    assert recordings[0].of_outputs == [None] * 5


def test_a_second_call_before_the_gradient_of_the_first_is_a_loop(recordings):
    encoder = GRU(FEATURES, HIDDEN, reset="before").double()
    warm(encoder)
    results = []
    for context in (torch.enable_grad, partial(replay.cuda_graphs, False)):
        with context():
            first, second = encoder(batch(1)).states, encoder(batch(2)).states
            total = (first * second).sum()
            results.append(torch.autograd.grad(total, list(encoder.parameters())))
    torch.testing.assert_close(*results)
    assert len(recordings) == 1
    assert not slot_of(encoder).is_busy


def slot_of(encoder):
    (slot,) = replay._replays(encoder.layers.layers[0].cell)._slots.values()
    return slot


def test_a_call_whose_gradient_is_not_asked_for_blocks_nothing(recordings):
    encoder = Elman(FEATURES, HIDDEN, nonlinearity="sigmoid").double()
    warm(encoder)
    states = encoder(batch(1)).states
    assert slot_of(encoder).is_busy
    del states
    gc.collect()
    assert not slot_of(encoder).is_busy


def test_gradients_accumulate(recordings):
    encoder = MinGRU(FEATURES, HIDDEN).double()
    warm(encoder)
    for seed in range(3):
        encoder(batch(seed)).states.square().sum().backward()
    found = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    with replay.cuda_graphs(False):
        sum(encoder(batch(seed)).states.square().sum() for seed in range(3)).backward()
    torch.testing.assert_close(found, [parameter.grad for parameter in encoder.parameters()])


def test_weights_at_other_addresses_are_recorded_anew(recordings):
    encoder = SRU(FEATURES, HIDDEN).double()
    warm(encoder)
    other = SRU(FEATURES, HIDDEN).double()
    encoder.load_state_dict(other.state_dict())  # in place
    with replay.cuda_graphs(False):
        expected = other(batch(1)).states
    torch.testing.assert_close(encoder(batch(1)).states, expected)
    assert len(recordings) == 1
    encoder.load_state_dict(SRU(FEATURES, HIDDEN).double().state_dict(), assign=True)
    for seed in range(4):
        states = encoder(batch(seed)).states
        with replay.cuda_graphs(False):
            torch.testing.assert_close(states, encoder(batch(seed)).states)
    assert len(recordings) == 2


def test_the_number_of_recorded_shapes_is_bounded(recordings, monkeypatch):
    monkeypatch.setattr(replay, "MOST_SHAPES", 2)
    encoder = SRU(FEATURES, HIDDEN).double()
    for time in (5, 6, 7):
        warm(encoder, time)
    assert len(recordings) == 2


def test_a_cell_that_cannot_be_recorded_runs_as_a_loop(monkeypatch, capsys):
    def refuse(*_):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(replay, "can_replay", lambda *_: True)
    monkeypatch.setattr(replay, "record_cuda", refuse)
    encoder = SRU(FEATURES, HIDDEN).double()
    warm(encoder)
    assert capsys.readouterr().err == (
        "computing without CUDA graphs, because recording one failed: operation not permitted when "
        "stream is capturing\n"
    )


def test_a_failed_recording_frees_the_others(recordings):
    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    encoder = SRU(FEATURES, HIDDEN).double()
    warm(encoder, 5)
    states = encoder(batch(9)).states  # its gradient is still to come
    [replays] = [replay._REPLAYS[each] for each in encoder.modules() if each in replay._REPLAYS]
    assert replays._slots
    replays._record = refuse
    warm(encoder, 6)
    assert not replays._slots
    states.sum().backward()


def test_what_a_replayed_gradient_refuses(recordings):
    encoder = SRU(FEATURES, HIDDEN).double()
    warm(encoder)
    weight = encoder.layers.layers[0].cell.weight_ih
    total = encoder(batch(1)).states.square().sum()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(total, weight, create_graph=True)
    del total  # or the next call would be a loop
    total = encoder(batch(1)).states.square().sum()
    once = torch.autograd.grad(total, weight, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(total, weight, retain_graph=True), once)
    kept = encoder(batch(2)).states.sum()
    with pytest.raises(RuntimeError, match="called again in between"):
        torch.autograd.grad(total, weight)
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(kept, weight)


def test_recordings_belong_to_one_cell_and_end_with_it(recordings, monkeypatch):
    encoder = SRU(FEATURES, HIDDEN).double()
    warm(encoder)
    cell = encoder.layers.layers[0].cell
    assert replay._replays(cell)._slots
    assert not replay._replays(copy.deepcopy(cell))._slots

    def record(compute, inputs, weights):  # keeps what `record_cuda` keeps
        traced = Traced(compute, static_copies(inputs), weights, True)
        zeros = zeros_for(traced.outputs)
        gradients = traced.gradients(zeros)
        nothing = torch.cuda.CUDAGraph
        return Recording([], traced.outputs, zeros, gradients, nothing, nothing, traced)

    monkeypatch.setattr(replay, "record_cuda", record)
    cell = MinGRU(FEATURES, HIDDEN).double().layers.layers[0].cell
    weights, found = list(cell.parameters()), replay._replays(cell)
    compute = partial(lambda cell, given, _: (cell.project(*given),), cell)
    for _ in range(3):
        found.find(compute, [batch(1)], weights, ())
    assert found._slots
    gone = weakref.ref(cell)
    del cell, compute, found
    gc.collect()
    assert gone() is None


def test_transforms_of_torch_func_run_as_loops(recordings):
    encoder = CoupledLSTM(FEATURES, HIDDEN).double()
    warm(encoder)
    weights = dict(encoder.named_parameters())

    def loss(weights, row):
        return torch.func.functional_call(encoder, weights, (row.unsqueeze(0),)).states.sum()

    per_row = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, batch(1))
    total = torch.autograd.grad(encoder(batch(1)).states.sum(), list(weights.values()))
    torch.testing.assert_close([part.sum(0) for part in per_row.values()], list(total))


def test_what_can_be_replayed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    cell, device = LSTMCell(FEATURES, HIDDEN), torch.device("cuda")
    can_replay = partial(replay.can_replay, cell, device)
    assert not can_replay()  # off unless asked for
    with replay.cuda_graphs(True):
        check_what_can_be_replayed(cell, can_replay, monkeypatch)


def check_what_can_be_replayed(cell, can_replay, monkeypatch):
    assert can_replay()
    assert not replay.can_replay(cell, torch.device("cpu"))
    assert not replay.can_replay(cell, torch.device("meta"))
    with torch.autograd.set_detect_anomaly(True):
        assert not can_replay()
    for module, name in (
        (torch, "are_deterministic_algorithms_enabled"),
        (torch.cuda, "is_current_stream_capturing"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda: True)
            assert not can_replay()
    hook = cell.register_forward_hook(lambda *_: None)
    assert not can_replay()
    hook.remove()
    assert can_replay()


@pytest.mark.parametrize("change", ["one step", "buffer", "refuses"])
def test_cells_that_are_not_recorded(recordings, change):
    encoder = CoupledLSTM(FEATURES, HIDDEN).double()
    cell = encoder.layers.layers[0].cell
    if change == "buffer":
        cell.register_buffer("count", torch.zeros(()))
    elif change == "refuses":
        cell.is_recordable = False
    warm(encoder, 1 if change == "one step" else STEPS)
    assert not recordings
