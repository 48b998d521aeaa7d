"""TensorFloat-32: forbidden in a context, allowed while a model is trained with `tf32`."""

import warnings

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from pipeline.callbacks import TF32Training
from pipeline.float32 import set_tf32, tf32
from tests.examples import quiet_trainer


def state():
    """(matrix products, cuDNN), as torch's kernels read it."""
    backends = torch.backends
    kinds = (backends.cuda.matmul, backends.cudnn.rnn, backends.cudnn.conv)
    matmul, recurrent, convolution = (kind.fp32_precision == "tf32" for kind in kinds)
    assert recurrent == convolution
    return matmul, recurrent


@pytest.fixture(autouse=True)
def restored():
    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("before", [(False, True), (True, True), (False, False), (True, False)])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_context_restores_what_was_set(before, allowed):
    original = state()
    set_tf32(*before)
    with tf32(allowed):
        assert state() == (allowed, allowed)
        with pytest.raises(ZeroDivisionError), tf32(not allowed):
            _ = 1 / (state() != (not allowed, not allowed))
        assert state() == (allowed, allowed)
    assert state() == before
    set_tf32(*original)


def test_torch_defaults_to_tf32_in_cudnn():
    assert state() == (False, True)  # the reason for the context; a change of torch is seen here


def test_other_switches_of_torch_can_be_used_within():
    with tf32(False):
        with torch.backends.cudnn.flags(enabled=False):  # dynamic evaluation does
            pass
        assert state() == (False, False)
        assert torch.get_float32_matmul_precision() == "highest"  # Lightning asks on a GPU
    with tf32(True):
        with torch.backends.cudnn.flags(enabled=False):
            pass
        assert state() == (True, True)
        assert torch.get_float32_matmul_precision() == "high"


def test_a_function_can_be_decorated():
    @tf32(False)
    def inner():
        return state()

    assert [inner(), inner()] == [(False, False)] * 2


def test_no_warning_is_shown():
    with warnings.catch_warnings(record=True) as caught, tf32(False):
        pass
    assert caught == []


class Recorder(LightningModule):
    """Records the state in each kind of step."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch):
        self.seen.append(("train", state()))
        return self.layer(batch).sum()

    def validation_step(self, batch):
        self.seen.append(("val", state()))

    def test_step(self, batch):
        self.seen.append(("test", state()))

    def predict_step(self, batch):
        self.seen.append(("predict", state()))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return DataLoader(torch.ones(2, 1))

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


@pytest.mark.parametrize("sanity_steps", [0, 1])
def test_only_training_uses_it(sanity_steps):
    model = Recorder()
    trainer = quiet_trainer(
        max_epochs=2, callbacks=[TF32Training()], num_sanity_val_steps=sanity_steps
    )
    with tf32(False):
        trainer.fit(model)
        assert state() == (False, False)
        trainer.validate(model, verbose=False)
        trainer.test(model, verbose=False)
        trainer.predict(model)
    assert len(model.seen) == 14 + sanity_steps
    assert set(model.seen) == {
        ("train", (True, True)),
        ("val", (False, False)),
        ("test", (False, False)),
        ("predict", (False, False)),
    }


@pytest.mark.gpu
def test_a_product_and_an_lstm_on_a_gpu_are_float32():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(4, 7, 512, generator=generator)
    layer = torch.nn.LSTM(512, 512, batch_first=True)
    reference, _ = layer.double()(inputs.double())
    weight = layer.weight_hh_l0.detach()
    product = inputs.double() @ weight.T
    layer.float().cuda()
    for allowed, least, most in ((False, 0.0, 2e-5), (True, 2e-5, 1e-1)):
        with tf32(allowed), torch.no_grad():
            states, _ = layer(inputs.cuda())
            found = inputs.cuda() @ weight.float().cuda().T
        for exact, computed in ((reference, states), (product, found)):
            error = (computed.double().cpu() - exact).abs().max() / exact.abs().max()
            assert least <= error <= most
