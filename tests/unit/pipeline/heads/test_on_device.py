"""The functions of output layers for GPUs: on the CPU against the formula, on "meta" without waits.

On the meta device, reading a value raises an error, so that what runs there never waits.
"""

import math

import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.heads import ClassSoftmax, FullSoftmax, HierarchicalSoftmax, Sampled, adaptive, base
from pipeline.heads.class_softmax import softmax as class_softmax
from pipeline.heads.full import fused
from pipeline.heads.full import softmax as full_softmax
from pipeline.heads.full.on_device import device_nll, plain_nll
from pipeline.heads.sampled_softmax import noise
from pipeline.heads.sampled_softmax import softmax as sampled_softmax
from pipeline.heads.tree_softmax import paths
from pipeline.heads.tree_softmax import softmax as tree_softmax
from tests.examples import vocabulary
from tests.unit.pipeline.heads.layers import (
    ALL,
    EXACT,
    INPUT_SIZE,
    VOCAB_SIZE,
    ByHand,
    make,
)

META = torch.device("meta")
MODULES = (
    adaptive,
    base,
    class_softmax,
    full_softmax,
    fused,
    noise,
    paths,
    sampled_softmax,
    tree_softmax,
)

every_layer = pytest.mark.parametrize("maker", ALL.values(), ids=ALL)
every_exact_layer = pytest.mark.parametrize("maker", EXACT.values(), ids=EXACT)


def scores(layer, states, targets, scale=-1 / 7):
    """The loss, all gradients, and the results of evaluation."""
    torch.manual_seed(3)
    loss = layer.loss(states, targets)
    inputs = [states, *layer.parameters()]
    found = torch.autograd.grad(loss * scale, inputs, materialize_grads=True)
    return [loss, *found, layer.log_probs(states, targets), layer.log_distribution(states)]


def on_device(monkeypatch, layer, states, targets):
    """The same, computed by the functions for devices."""
    with monkeypatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "on_device", lambda _: True)
        return scores(layer, states, targets)


def batches():
    """Targets with and without ignored rows, of few words, and none."""
    generator = torch.Generator().manual_seed(2)
    some = torch.randint(VOCAB_SIZE, (3, 8), generator=generator)
    ignored = some.clone()
    ignored[..., -1] = IGNORE_INDEX
    return {
        "some ignored": ignored,
        "complete": some,
        "all words": torch.arange(VOCAB_SIZE).unsqueeze(0),
        "one word": torch.zeros(1, 2, dtype=torch.long),
        "all ignored": torch.full((2, 3), IGNORE_INDEX),
        "no rows": torch.zeros(2, 0, dtype=torch.long),
    }


@every_layer
@pytest.mark.parametrize("targets", batches().values(), ids=batches())
@pytest.mark.parametrize("rows_at_once", [2, 1000])
def test_values_are_those_of_the_cpu(monkeypatch, maker, targets, rows_at_once):
    layer, _, _ = make(maker)
    generator = torch.Generator().manual_seed(4)
    states = torch.randn(*targets.shape, INPUT_SIZE, generator=generator).double().requires_grad_()
    expected = scores(layer, states, targets)
    monkeypatch.setattr(base, "LOGIT_BYTES", rows_at_once * VOCAB_SIZE * 8)
    found = on_device(monkeypatch, layer, states, targets)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@every_layer
def test_nothing_waits_for_a_device(maker):
    layer, states, targets = make(maker)
    layer.to(META)
    states = states.detach().to(META).requires_grad_()
    for case in (targets, targets.clamp_min(0), torch.full_like(targets, IGNORE_INDEX)):
        layer.loss(states, case).backward()
        layer.log_probs(states, case).sum().backward()
        assert all(parameter.grad.is_meta for parameter in layer.parameters())
    assert states.grad.is_meta
    assert layer.log_distribution(states).shape == (3, 8, VOCAB_SIZE)


@every_layer
def test_targets_on_the_device_need_no_host_either(maker):
    layer, states, targets = make(maker)
    layer.to(META)
    states, targets = states.detach().to(META).requires_grad_(), targets.to(META)
    layer.log_probs(states, targets).sum().backward()
    layer.loss(states, targets).backward()
    assert states.grad.is_meta


@every_layer
@pytest.mark.parametrize("target", [-1, VOCAB_SIZE])
def test_a_target_outside_of_the_vocabulary_is_refused_on_the_host(maker, target):
    layer, states, targets = make(maker)
    layer.to(META)
    targets[1, 2] = target
    for score in (layer.loss, layer.log_probs):
        with pytest.raises(IndexError, match=f"^Target {target} is out of bounds of 13 words.$"):
            score(states.to(META), targets)


def test_rows_of_tails_are_moved_in_one_piece():
    layer, _, targets = make(EXACT["three tails"])
    of_head, tails = layer._assigned(targets.flatten(), torch.device("cpu"))
    moved, places = layer._assigned(targets.flatten(), META)
    assert moved.shape == of_head.shape
    pairs = zip(places, tails, strict=True)
    assert all([p.shape for p in one] == [p.shape for p in other] for one, other in pairs)
    other = layer._assigned(targets.flatten(), torch.device("cpu", 0))  # not equal to "cpu"
    torch.testing.assert_close(other, (of_head, tails))


@pytest.mark.parametrize("kind", [FullSoftmax, ClassSoftmax, HierarchicalSoftmax])
def test_a_second_derivative_is_refused(kind):
    layer, states, targets = make(kind)
    layer.to(META)
    states = states.detach().to(META).requires_grad_()
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        torch.autograd.grad(layer.loss(states, targets), states, create_graph=True)


@pytest.mark.parametrize("frozen", ["weight", "bias", "states"])
def test_frozen_parts_get_no_gradient(frozen):
    layer, states, targets = make(FullSoftmax)
    named = {"states": states.flatten(0, 1), "weight": layer.weight, "bias": layer.bias}
    named = {name: value.detach().requires_grad_(name != frozen) for name, value in named.items()}
    device_nll(*named.values(), targets.flatten(), torch.float64).backward()
    found = {name: value.grad for name, value in named.items()}
    assert found.pop(frozen) is None
    plain = {name: value.detach().requires_grad_() for name, value in named.items()}
    plain_nll(*plain.values(), targets.flatten()).backward()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, plain[name].grad)


def large(states_dtype):
    """Float32 parameters and states of a layer with 500 words in 20 groups, and targets."""
    generator = torch.Generator().manual_seed(1)
    states, weight = (torch.randn(n, 64, generator=generator) / 8 for n in (360, 500))
    bias = torch.randn(500, generator=generator) / 8
    targets = torch.randint(500, (360,), generator=generator)
    targets[::7] = IGNORE_INDEX
    tensors = [states.to(states_dtype), weight, bias]
    return [tensor.requires_grad_() for tensor in tensors], targets, torch.arange(500) % 20


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("states_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows_at_once", [100, 1000])
def test_bfloat16_products_are_as_accurate_as_those_of_autograd(
    monkeypatch, states_dtype, grouped, rows_at_once
):
    """Compared with the gradient in float64, next to torch's own under autocast."""
    monkeypatch.setattr(base, "LOGIT_BYTES", rows_at_once * 500 * 4)
    tensors, targets, groups = large(states_dtype)
    groups = groups if grouped else None
    scale = 257 / 256 / 512  # 0.4 % less, were it rounded to bfloat16
    exact = plain_nll(*(tensor.double() for tensor in tensors), targets, groups)
    wanted = torch.autograd.grad(exact * scale, tensors)
    ours = device_nll(*tensors, targets, torch.bfloat16, groups=groups)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = plain_nll(*tensors, targets, groups)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    found, others = (torch.autograd.grad(loss * scale, tensors) for loss in (ours, theirs))
    for one, other, truth in zip(found, others, wanted, strict=True):
        assert one.dtype == truth.dtype
        one, other, truth = one.double().flatten(), other.double().flatten(), truth.double()
        truth = truth.flatten()
        assert (one - truth).norm() <= 1.25 * (other - truth).norm() + 1e-3 * truth.norm()
        # A CPU rounds products to bfloat16 before the scale, which matters where it rounds again.
        twice = states_dtype == torch.bfloat16
        assert (one @ truth) / (truth @ truth) == pytest.approx(1, abs=3e-3 if twice else 1.5e-3)


def test_float16_keeps_what_a_loss_scaler_scales():
    """Probabilities of 2e-8 are 0 in float16, but not after a scale of 2^16."""
    weight = torch.tensor([[18.0], [0.0]], requires_grad=True)
    states, scale = torch.ones(1, 1), 2.0**16
    with torch.autocast("cpu", torch.float16):
        loss = device_nll(states, weight, None, torch.tensor([0]), torch.float16)
    (loss * scale).backward()
    expected = math.exp(-18) / (1 + math.exp(-18))
    assert (weight.grad / scale)[1].item() == pytest.approx(expected, rel=1e-2)


def test_a_certain_word_keeps_its_gradient():
    """1 - p is computed before rounding: of p = 0.9997, bfloat16 would leave 0."""
    weight = torch.tensor([[8.0], [0.0]], requires_grad=True)
    device_nll(torch.ones(1, 1), weight, None, torch.tensor([0]), torch.bfloat16).backward()
    expected = 1 / (1 + math.exp(8))
    assert weight.grad.flatten().tolist() == pytest.approx([-expected, expected], rel=1e-2)


def test_noise_is_that_of_a_loaded_state(monkeypatch):
    monkeypatch.setattr(noise, "on_device", lambda _: True)
    first, second = (Sampled(3, vocabulary(4, counts)) for counts in ([8, 4, 2, 1], [1, 1, 1, 1]))
    words = torch.tensor([[3, 0], [1, 2]])
    torch.testing.assert_close(
        second.noise.log_probs(words).exp(), torch.full((2, 2), 0.25).double()
    )
    second.load_state_dict(first.state_dict())
    expected = torch.tensor([[1, 8], [4, 2]]).double() / 15
    torch.testing.assert_close(second.noise.log_probs(words).exp(), expected)
    for sampled in (first, second):
        torch.manual_seed(0)
        sampled.drawn = sampled.noise.draw(50)
    assert torch.equal(first.drawn, second.drawn)
    assert first.noise._total == second.noise._total == int(first.noise.cumulative[-1])


def test_padded_paths_follow_a_loaded_tree():
    first, _, targets = make(HierarchicalSoftmax)
    second = make(EXACT["balanced tree"])[0]
    second.paths.padded_to(targets.flatten())
    second.load_state_dict(first.state_dict())
    found = second.paths.padded_to(targets.flatten())
    torch.testing.assert_close(found, first.paths.padded_to(targets.flatten()))


def test_a_class_of_one_word_costs_nothing():
    layer, states, _ = make(
        lambda size, words: ClassSoftmax(size, words, ByHand(*range(VOCAB_SIZE)))
    )
    rows, targets = states.detach().flatten(0, 1), torch.arange(24) % VOCAB_SIZE
    groups = layer.partition.class_of
    weight = layer.weight.detach().requires_grad_()
    nll = device_nll(rows, weight, None, targets, torch.float64, groups=groups)
    nll.backward()
    assert nll == 0
    assert not weight.grad.any()


@every_layer
@pytest.mark.parametrize("device", ["cpu", "device"])
def test_distributions_can_be_compiled(monkeypatch, maker, device):
    layer, states, _ = make(maker)
    expected = layer.log_distribution(states)
    if device == "device":
        for module in MODULES:
            monkeypatch.setattr(module, "on_device", lambda _: True)
    torch.compiler.reset()
    compiled = torch.compile(layer.log_distribution, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(states), expected)


@pytest.mark.parametrize("device", ["cpu", "device"])
def test_the_loss_of_the_full_softmax_can_be_compiled(monkeypatch, device):
    layer, states, targets = make(FullSoftmax)
    expected = scores(layer, states, targets)[:4]
    if device == "device":
        for module in MODULES:
            monkeypatch.setattr(module, "on_device", lambda _: True)
    torch.compiler.reset()
    loss = torch.compile(layer.loss, fullgraph=True, backend="eager")(states, targets)
    gradients = torch.autograd.grad(loss * (-1 / 7), [states, *layer.parameters()])
    torch.testing.assert_close([loss, *gradients], expected)
