"""The full softmax against torch's cross entropy, and against itself."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from pipeline.batches import IGNORE_INDEX
from pipeline.heads import FullSoftmax, OutputLayer, base
from pipeline.heads.full import fused
from tests.examples import vocabulary
from tests.unit.pipeline.heads.full.test_chunked import reference


def make(dtype=torch.float64, bias=True, input_size=6, vocab_size=11, rows=(3, 5)):
    """A layer, states and targets, some of them ignored."""
    generator = torch.Generator().manual_seed(1)
    layer = FullSoftmax(input_size, vocabulary(vocab_size), bias=bias, init_scale=1.0).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator) / math.sqrt(input_size)
            )
    states = torch.randn(*rows, input_size, generator=generator).to(dtype).requires_grad_()
    targets = torch.randint(vocab_size, rows, generator=generator)
    targets[..., -1] = IGNORE_INDEX
    return layer, states, targets


def gradients(loss, layer, states, scale):
    return torch.autograd.grad(loss * scale, [states, *layer.parameters()])


def autocast(dtype=torch.bfloat16):
    return torch.autocast("cpu", dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradients_are_those_of_cross_entropy(dtype, bias):
    layer, states, targets = make(dtype, bias)
    loss, expected = layer.loss(states, targets), reference(layer, states, targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        gradients(loss, layer, states, 1 / 7), gradients(expected, layer, states, 1 / 7)
    )


def test_gradients_are_finite_differences():
    layer, states, targets = make()
    rows = states.detach().requires_grad_()

    def loss(states, weight, bias):
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return fused.fused_nll(states.flatten(0, -2), weight, bias, targets.flatten(), weight.dtype)

    parameters = [parameter.detach().requires_grad_() for parameter in layer.parameters()]
    assert torch.autograd.gradcheck(loss, (rows, *parameters))


@pytest.mark.parametrize("states_dtype", [torch.float32, torch.bfloat16])
def test_bfloat16_loss_and_gradients_are_close_and_unbiased(states_dtype):
    layer, states, targets = make(torch.float32, input_size=64, vocab_size=500, rows=(12, 30))
    states = states.detach().to(states_dtype).requires_grad_()
    with autocast():
        loss = layer.loss(states, targets)
    exact = reference(layer, states.float(), targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=1e-3, atol=0)
    scale = 257 / 256 / 512  # 0.4 % less, were it rounded to bfloat16
    pairs = zip(
        gradients(loss, layer, states, scale), gradients(exact, layer, states, scale), strict=True
    )
    for ours, theirs in pairs:
        ours, theirs = ours.double().flatten(), theirs.double().flatten()
        assert F.cosine_similarity(ours, theirs, dim=0) > 0.999
        assert (ours @ theirs) / (theirs @ theirs) == pytest.approx(1, abs=1.5e-3)


@pytest.mark.parametrize(("size", "bias"), [(32, False), (32, True), (31, True), (30, True)])
def test_bfloat16_is_its_formula_but_for_rounding(size, bias):
    """Each operation on a fresh copy: the fused function works in place."""
    layer, states, targets = make(torch.float32, bias, size, vocab_size=1000, rows=(70,))
    with autocast():
        loss = layer.loss(states, targets)
    parameters = [states, *layer.parameters()]
    rows, weight, *rest = (tensor.detach().bfloat16() for tensor in parameters)
    accurate = rows.double() @ weight.double().t() + (rest[0].double() if bias else 0)
    probs = torch.softmax(accurate.bfloat16(), dim=-1)
    real = torch.arange(70) != 69
    expected = -probs[real, targets[real]].float().log().sum()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)
    onehot = F.one_hot(targets.where(real, 0), 1000).bfloat16()
    to_logits = (probs - onehot) * real.unsqueeze(1)
    ours = torch.autograd.grad(loss, parameters)
    theirs = to_logits @ weight, to_logits.t() @ rows, to_logits.sum(0)
    for mine, other in zip(ours, theirs[: len(ours)], strict=True):
        torch.testing.assert_close(mine, other.float(), rtol=2**-7, atol=2e-3)


def test_other_autocasts_use_torch():
    layer, states, targets = make(torch.float32)
    with autocast(torch.float16):
        loss = layer.loss(states, targets)
    torch.testing.assert_close(loss, reference(layer, states, targets), rtol=1e-2, atol=0)


@pytest.mark.parametrize("bf16", [True, False])
def test_a_loss_that_is_not_a_number_shows(bf16):
    layer, states, targets = make(torch.float32)
    with torch.no_grad():
        states[0, 0] = math.nan
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert layer.loss(states, targets).isnan()


@pytest.mark.parametrize("target", [-1, 11])
def test_a_target_outside_of_the_vocabulary_is_refused(target):
    layer, states, targets = make()
    targets[0, 0] = target
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        layer.loss(states, targets)
    with pytest.raises(IndexError, match=f"Target {target} is out of bounds"):
        layer.log_probs(states, targets)


def test_distribution_is_the_softmax_of_the_formula():
    layer, states, _ = make()
    scores = [
        sum(w * s for w, s in zip(row, states[1, 2].tolist(), strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]
    total = sum(math.exp(score) for score in scores)
    expected = [math.exp(score) / total for score in scores]
    assert layer.log_distribution(states)[1, 2].exp().tolist() == pytest.approx(expected)


def test_logits_of_an_evaluation_stay_within_bounds(monkeypatch):
    layer, states, targets = make(torch.float32, rows=(50,))
    monkeypatch.setattr(base, "LOGIT_BYTES", 7 * 11 * 4)
    seen = []
    original = F.linear
    monkeypatch.setattr(F, "linear", lambda *args: seen.append(original(*args)) or seen[-1])
    layer.log_probs(states, targets)
    assert [len(logits) for logits in seen] == [7] * 7 + [1]


def test_tied_layers_share_one_matrix():
    layer, states, targets = make()
    embedding = nn.Embedding(11, 6).double()
    layer.tie(embedding)
    (embedding(targets.clamp_min(0)).sum() + layer.loss(states, targets)).backward()
    weight = embedding.weight.detach().clone().requires_grad_()
    through_head = reference(SimpleNamespace(weight=weight, bias=layer.bias), states, targets)
    through_embedding = F.embedding(targets.clamp_min(0), weight).sum()
    (expected,) = torch.autograd.grad(through_head + through_embedding, weight)
    torch.testing.assert_close(embedding.weight.grad, expected)


@pytest.mark.parametrize(("words", "features"), [(11, 7), (12, 6)])
def test_unequal_sizes_cannot_be_tied(words, features):
    message = f"the embedding is {words} x {features} and the output layer is 11 x 6"
    with pytest.raises(ValueError, match=message):
        make()[0].tie(nn.Embedding(words, features))


def test_start_is_uniform_over_weight_and_bias():
    torch.manual_seed(0)
    layer = FullSoftmax(100, vocabulary(2000), init_scale=0.05)
    for parameter in layer.parameters():
        assert parameter.abs().max() <= 0.05
        assert parameter.std().item() == pytest.approx(0.1 / math.sqrt(12), rel=0.05)


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="input_size of an output layer must be at least 1, got 0"):
        FullSoftmax(0, vocabulary(3))
    with pytest.raises(ValueError, match="init_scale must be above 0, got 0"):
        FullSoftmax(3, vocabulary(4), init_scale=0)
    with pytest.raises(TypeError, match="abstract"):
        OutputLayer(3, 4)
