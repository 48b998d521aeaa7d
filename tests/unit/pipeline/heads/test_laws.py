"""Laws that hold for every output layer."""

import copy
import math
import pickle
from functools import partial

import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.heads import ClassSoftmax, FullSoftmax, HierarchicalSoftmax, base
from tests.examples import check_gradients, vocabulary
from tests.unit.pipeline.heads.layers import ALL, EXACT, INPUT_SIZE, VOCAB_SIZE, ByHand, make

every_layer = pytest.mark.parametrize("maker", ALL.values(), ids=ALL)
every_exact_layer = pytest.mark.parametrize("maker", EXACT.values(), ids=EXACT)


def gradients(loss, layer, states):
    """Of all parameters; zero where one has no part in the loss."""
    return torch.autograd.grad(loss, [states, *layer.parameters()], materialize_grads=True)


def picked(layer, states, targets):
    """The log-probabilities of targets out of the whole distribution."""
    real = targets != IGNORE_INDEX
    found = layer.log_distribution(states).gather(-1, targets.where(real, 0).unsqueeze(-1))
    return found.squeeze(-1).where(real, 0)


@every_layer
def test_distribution_sums_to_one(maker):
    layer, states, _ = make(maker)
    distribution = layer.log_distribution(states)
    assert distribution.shape == (3, 8, VOCAB_SIZE)
    ones = torch.ones(3, 8, dtype=torch.float64)
    torch.testing.assert_close(distribution.exp().sum(-1), ones, rtol=0, atol=1e-10)


@every_layer
@pytest.mark.parametrize("rows_at_once", [1, 5, 1000])
def test_log_probs_are_picked_from_the_distribution(monkeypatch, maker, rows_at_once):
    layer, states, targets = make(maker)
    monkeypatch.setattr(base, "LOGIT_BYTES", rows_at_once * VOCAB_SIZE * 8)
    expected = picked(layer, states, targets)
    torch.testing.assert_close(layer.log_probs(states, targets), expected, rtol=0, atol=1e-12)


@every_exact_layer
@pytest.mark.parametrize("scale", [1.0, -1 / 7])
def test_loss_and_gradients_are_those_of_the_distribution(maker, scale):
    layer, states, targets = make(maker)
    loss, expected = layer.loss(states, targets), -picked(layer, states, targets).sum()
    torch.testing.assert_close(loss, expected)
    found = gradients(loss * scale, layer, states)
    torch.testing.assert_close(found, gradients(expected * scale, layer, states))


@every_exact_layer
def test_gradients_of_the_loss_are_finite_differences(maker):
    layer, states, targets = make(maker, rows=(4,))
    check_gradients(layer, lambda states: layer.loss(states, targets), states)


@every_exact_layer
def test_every_word_alone_and_all_words_at_once(maker):
    layer, states, _ = make(maker, rows=(VOCAB_SIZE,))
    targets = torch.arange(VOCAB_SIZE)
    losses = [layer.loss(states[i : i + 1], targets[i : i + 1]) for i in range(VOCAB_SIZE)]
    torch.testing.assert_close(torch.stack(losses), -layer.log_probs(states, targets))
    torch.testing.assert_close(sum(losses), layer.loss(states, targets))


@every_layer
def test_ignored_targets_count_nothing(maker):
    layer, states, targets = make(maker)
    ignored = torch.full_like(targets, IGNORE_INDEX)
    assert layer.log_probs(states, ignored).eq(0).all()
    loss = layer.loss(states, ignored)
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients(loss, layer, states))


@every_layer
def test_no_rows(maker):
    layer, _, _ = make(maker)
    states, targets = torch.zeros(2, 0, INPUT_SIZE).double(), torch.zeros(2, 0, dtype=torch.long)
    assert layer.loss(states, targets) == 0
    assert layer.log_probs(states, targets).shape == (2, 0)
    assert layer.log_distribution(states).shape == (2, 0, VOCAB_SIZE)


@every_layer
def test_evaluation_is_the_same_under_autocast(maker):
    layer, states, targets = make(maker, torch.float32)
    expected = layer.log_probs(states, targets), layer.log_distribution(states)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            ours = layer.log_probs(states, targets), layer.log_distribution(states)
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


@every_exact_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("low_precision_states", [True, False])
def test_loss_under_autocast_is_close(maker, dtype, low_precision_states):
    layer, states, targets = make(maker, torch.float32, rows=(3, 80), scale=0.2)
    if low_precision_states:
        states = states.detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype):
        loss = layer.loss(states, targets)
    exact = -layer.log_probs(states, targets).sum()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=3e-3, atol=0)
    pairs = zip(gradients(loss, layer, states), gradients(exact, layer, states), strict=True)
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).norm() <= 0.02 * theirs.norm()


@every_layer
def test_low_precision_models_are_evaluated_in_float32(maker):
    layer, states, targets = make(maker, torch.bfloat16)
    assert layer.log_probs(states, targets).dtype == torch.float32
    assert layer.log_distribution(states).dtype == torch.float32
    layer.loss(states, targets).backward()
    assert states.grad.dtype == torch.bfloat16


@every_layer
def test_frozen_parts_get_no_gradient(maker):
    layer, states, targets = make(maker)
    torch.manual_seed(0)
    layer.loss(states, targets).backward()
    expected = {name: parameter.grad for name, parameter in layer.named_parameters()}
    for frozen in expected:
        layer.zero_grad(set_to_none=True)
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(name != frozen)
        torch.manual_seed(0)
        layer.loss(states, targets).backward()
        for name, parameter in layer.named_parameters():
            wanted = None if name == frozen else expected[name]
            torch.testing.assert_close(parameter.grad, wanted)


@every_layer
def test_a_state_dict_is_all_that_a_layer_needs(maker, tmp_path):
    layer, states, targets = make(maker)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    other = make(maker)[0]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    assert torch.equal(other.log_probs(states, targets), layer.log_probs(states, targets))


@every_layer
def test_copies_are_independent(maker):
    layer, states, targets = make(maker)
    expected = layer.log_probs(states, targets)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert all(torch.equal(each.log_probs(states, targets), expected) for each in copies)


@every_layer
@pytest.mark.parametrize("target", [-1, VOCAB_SIZE])
def test_a_target_outside_of_the_vocabulary_is_refused(maker, target):
    layer, states, targets = make(maker)
    targets[0, 0] = target
    for score in (layer.loss, layer.log_probs):
        with pytest.raises((IndexError, RuntimeError), match=r"out of (bounds|range)"):
            score(states, targets)


@every_layer
def test_a_state_that_is_not_a_number_shows(maker):
    layer, states, targets = make(maker)
    targets[0, 0] = VOCAB_SIZE - 1
    with torch.no_grad():
        states[0, 0] = torch.nan
    assert layer.loss(states, targets).isnan()
    assert layer.log_probs(states, targets)[0, 0].isnan()


@every_layer
def test_shapes_that_do_not_fit_are_told(maker):
    layer, states, targets = make(maker)
    with pytest.raises(ValueError, match="the output layer expects states of 5 features, got 4"):
        layer.log_distribution(states[..., :4])
    for score in (layer.loss, layer.log_probs):
        with pytest.raises(
            ValueError, match=r"states of shape \[3, 8, 5\] need targets of shape \[3, 8\], got \["
        ):
            score(states, targets.t())


@pytest.mark.parametrize("maker", [FullSoftmax, ClassSoftmax, HierarchicalSoftmax])
def test_a_second_derivative_is_refused(maker):
    layer, states, targets = make(maker)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        torch.autograd.grad(layer.loss(states, targets), states, create_graph=True)


@pytest.mark.parametrize("kind", [FullSoftmax, partial(ClassSoftmax, classes=ByHand(0, 0))])
def test_a_hopeless_word_still_trains(kind):
    """The nll has a limit, its gradient (p - onehot) has none."""
    layer = kind(1, vocabulary(2), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[200.0], [0.0]]))
    loss = layer.loss(torch.ones(1, 1), torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(torch.finfo(torch.float32).tiny))
    assert layer.weight.grad.tolist() == [[1.0], [-1.0]]
