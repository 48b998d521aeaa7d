"""Output layers on a GPU: results close to float64 on the CPU, and no wait for the device."""

import pytest
import torch

from pipeline.heads import base
from pipeline.heads.full.on_device import device_nll, plain_nll
from tests.unit.pipeline.heads.layers import SAMPLED, make
from tests.unit.pipeline.heads.test_on_device import every_layer, large, scores


@pytest.fixture
def no_waits():
    """A function under which any wait for the GPU raises an error."""

    def run(function):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            return function()
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return run


def on_gpu(layer, states, targets, dtype, num=3):
    """Loss, gradients of a scaled loss, and log-probabilities on a GPU, in a list."""
    inputs = [states, *layer.parameters()]
    found = []
    for _ in range(num):  # the first step builds tables and starts libraries
        torch.manual_seed(3)
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            loss = layer.loss(states, targets)
        gradients = torch.autograd.grad(loss * 8, inputs, materialize_grads=True)
        found = [loss, *(gradient / 8 for gradient in gradients)]
    return [*found, layer.log_probs(states, targets), layer.log_distribution(states)]


@pytest.mark.gpu
@every_layer
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_gpu(no_waits, maker, dtype, complete):
    layer, states, targets = make(maker, torch.float64, rows=(3, 80), scale=0.2)
    targets = targets.clamp_min(0) if complete else targets
    expected = scores(layer, states, targets, scale=1.0)
    layer = layer.float().cuda()
    states = states.detach().float().cuda().requires_grad_()
    on_gpu(layer, states, targets, dtype, num=1)
    found = no_waits(lambda: on_gpu(layer, states, targets, dtype))
    sampled = maker in SAMPLED.values()  # its words are drawn by the generator of the GPU
    start = 2 + len(list(layer.parameters())) if sampled else 0
    tolerance = 1e-4 if dtype == torch.float32 else 2e-2
    for ours, theirs in list(zip(found, expected, strict=True))[start:]:
        ours = ours.double().cpu()
        exact = theirs.dim() > 1 and theirs.shape[:2] == (3, 80) and theirs is not expected[1]
        limit = 1e-4 if exact else tolerance
        assert (ours - theirs).norm() <= limit * theirs.norm() + 1e-6


@pytest.mark.gpu
@every_layer
def test_targets_on_a_gpu_give_the_same(no_waits, maker):
    layer, states, targets = make(maker, torch.float64)
    layer, states = layer.cuda(), states.detach().cuda().requires_grad_()
    expected = on_gpu(layer, states, targets, torch.float32)
    targets = targets.cuda()
    on_gpu(layer, states, targets, torch.float32, num=1)
    found = no_waits(lambda: on_gpu(layer, states, targets, torch.float32))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.gpu
def test_chunks_on_a_gpu(monkeypatch, no_waits):
    monkeypatch.setattr(base, "LOGIT_BYTES", 100 * 500 * 4)
    tensors, targets, groups = large(torch.float32)
    exact = plain_nll(*(tensor.double() for tensor in tensors), targets, groups)
    wanted = torch.autograd.grad(exact, tensors)
    moved = [tensor.detach().cuda().requires_grad_() for tensor in tensors]
    arguments = (*moved, targets.cuda(), torch.float32, False, groups.cuda())

    def run():
        loss = device_nll(*arguments)
        return [loss, *torch.autograd.grad(loss, moved)]

    run()
    for ours, theirs in zip(no_waits(run), [exact.float(), *wanted], strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-5)
