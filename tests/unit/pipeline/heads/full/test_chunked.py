"""The chunked loss of the full softmax against the loss in one chunk."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from pipeline.batches import IGNORE_INDEX
from pipeline.heads import FullSoftmax, base
from tests.unit.pipeline.heads.layers import VOCAB_SIZE, make


def gradients(loss, layer, states):
    return torch.autograd.grad(loss, [states, *layer.parameters()])


def reference(layer, states, targets):
    logits = F.linear(states.flatten(0, -2), layer.weight, layer.bias)
    return F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows_at_once", [1, 7, 23])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pieces_are_the_whole(monkeypatch, dtype, rows_at_once, bias):
    layer, states, targets = make(lambda size, words: FullSoftmax(size, words, bias), dtype)
    monkeypatch.setattr(base, "LOGIT_BYTES", rows_at_once * VOCAB_SIZE * dtype.itemsize)
    loss, expected = layer.loss(states, targets), reference(layer, states, targets)
    assert "ChunkedNll" in type(loss.grad_fn).__name__
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        gradients(loss * -0.3, layer, states), gradients(expected * -0.3, layer, states)
    )


@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16])
def test_under_autocast_pieces_are_close(monkeypatch, autocast):
    layer, states, targets = make(FullSoftmax, torch.float32, rows=(3, 80))
    monkeypatch.setattr(base, "LOGIT_BYTES", 50 * VOCAB_SIZE * 2)
    with torch.autocast("cpu", autocast):
        loss = layer.loss(states, targets)
    expected = reference(layer, states, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=3e-3, atol=0)
    found, wanted = gradients(loss, layer, states), gradients(expected, layer, states)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).norm() <= 0.02 * theirs.norm()


def test_no_more_rows_than_fit_are_made_at_once(monkeypatch):
    layer, states, targets = make(FullSoftmax, torch.float32, rows=(50,))
    monkeypatch.setattr(base, "LOGIT_BYTES", 7 * VOCAB_SIZE * 4)
    seen = []
    original = F.linear
    monkeypatch.setattr(F, "linear", lambda *args: seen.append(original(*args)) or seen[-1])
    layer.loss(states, targets)
    assert [len(logits) for logits in seen] == [7] * 7 + [1]


def test_frozen_parts_get_no_gradient(monkeypatch):
    layer, states, targets = make(FullSoftmax)
    monkeypatch.setattr(base, "LOGIT_BYTES", 1)
    layer.weight.requires_grad_(False)
    layer.loss(states, targets).backward()
    expected = torch.autograd.grad(reference(layer, states, targets), [states, layer.bias])
    torch.testing.assert_close((states.grad, layer.bias.grad), expected)
    assert layer.weight.grad is None


def test_a_second_derivative_is_refused(monkeypatch):
    layer, states, targets = make(FullSoftmax)
    monkeypatch.setattr(base, "LOGIT_BYTES", 1)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        torch.autograd.grad(layer.loss(states, targets), states, create_graph=True)
