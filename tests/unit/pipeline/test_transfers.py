"""Copies between host and device, without a device: on "meta", reading a value raises an error."""

import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

from pipeline.batches import Sentences, Texts
from pipeline.transfers import Constant, on_host, packed, real_steps, unpacked, without_padding


def test_lengths_and_rows_stay_on_the_host():
    words, columns = torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, 1)
    lengths, rows = torch.tensor([3, 1]), torch.tensor([5, -1])
    sentences = Sentences(words, columns, words, lengths, rows, 4.0)
    texts = Texts(words, columns, rows, lengths, rows, 2.0, 4.0)
    for batch, target in ((sentences, "tags"), (texts, "labels")):
        moved = move_data_to_device(batch, torch.device("meta"))
        assert type(moved) is type(batch)
        for name in ("words", "columns", target):
            assert getattr(moved, name).device.type == "meta"
        assert moved.lengths is lengths
        assert moved.rows is rows
        assert moved[5:] == batch[5:]


def test_bytes_of_any_type():
    tensors = [
        torch.tensor([True, False, True]),
        torch.randn(2, 3).t(),
        torch.tensor([7, -(2**40)]),
        torch.zeros(0, 4),
        torch.tensor(0.1, dtype=torch.bfloat16),
        torch.tensor([[0.1]], dtype=torch.float64),
    ]
    for copy, tensor in zip(unpacked(packed(tensors), tensors), tensors, strict=True):
        assert copy.dtype == tensor.dtype
        assert torch.equal(copy, tensor)
    assert all(copy is tensor for copy, tensor in zip(on_host(*tensors), tensors, strict=True))


def test_steps_of_lengths_on_the_host():
    lengths = torch.tensor([0, 2, 3])
    expected = torch.tensor([[0, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=torch.bool)
    assert torch.equal(real_steps(lengths, 3, torch.device("cpu")), expected)
    assert real_steps(lengths, 3, torch.device("meta")).device.type == "meta"


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (3, 4, 5, 2)])
def test_padding_becomes_zero(shape, monkeypatch):
    lengths = torch.tensor([4, 0, 2])
    states = torch.randn(shape, dtype=torch.float64)
    is_padding = torch.arange(4) >= lengths.unsqueeze(1)
    expected = states.clone()
    expected[is_padding] = 0
    states[is_padding] = torch.nan
    for is_compiling in (False, True):  # as on a CPU, as on a device
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda value=is_compiling: value)
        leaf = states.clone().requires_grad_()
        found = without_padding(leaf, lengths)
        assert torch.equal(found, expected)
        found.backward(torch.ones_like(leaf))
        assert torch.equal(leaf.grad[is_padding], torch.zeros_like(leaf[is_padding]))
        assert torch.equal(leaf.grad[~is_padding], torch.ones_like(leaf[~is_padding]))


def test_a_constant_is_copied_once():
    value = torch.tensor([0.1, 0.2])
    constant = Constant(value)
    assert constant.on(torch.zeros(1)) is value
    with torch.inference_mode():
        copy = constant.on(torch.zeros(1, dtype=torch.float64))
        away = constant.on(torch.zeros(1, dtype=torch.int64, device="meta"))
    assert torch.equal(copy, value.double())
    assert not copy.is_inference()
    assert constant.on(torch.zeros(1, dtype=torch.float64)) is copy
    assert away.dtype == torch.float32
    assert constant.on(torch.zeros(1, dtype=torch.int64, device="meta")) is away


@pytest.mark.gpu
def test_one_wait():
    tensors = [torch.arange(5), torch.randn(2, 3), torch.tensor([True])]
    on_device = [tensor.cuda() for tensor in tensors]
    for copy, tensor in zip(on_host(*on_device), tensors, strict=True):
        assert torch.equal(copy, tensor)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert Constant(torch.tensor([0.1])).on(on_device[1]).is_cuda
        assert real_steps(tensors[0], 4, on_device[0].device).is_cuda
    finally:
        torch.cuda.set_sync_debug_mode("default")
