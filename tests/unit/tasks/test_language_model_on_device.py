"""Steps of a language model on the meta device, where reading a value raises an error.

What runs there never makes the host wait for a GPU.
"""

import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.encoders import LSTM
from pipeline.heads import FullSoftmax
from pipeline.regularization import ActivationPenalty, Dropouts
from tasks.language_model import LanguageModel
from tests.examples import vocabulary
from tests.unit.pipeline.heads.layers import ALL, VOCAB_SIZE, ZIPF

META = torch.device("meta")
every_layer = pytest.mark.parametrize("head", ALL.values(), ids=ALL)


def window(reread_next=0):
    generator = torch.Generator().manual_seed(1)
    tokens, targets = torch.randint(VOCAB_SIZE, (2, 3, 6), generator=generator)
    targets[-1, -2:] = IGNORE_INDEX
    return StreamWindow(tokens, targets, 16.0, reread_next=reread_next)


def model_with(head, **settings):
    torch.manual_seed(0)
    words = vocabulary(VOCAB_SIZE, ZIPF)
    return LanguageModel(LSTM(input_size=4, hidden_size=5), words, head, **settings)


def test_targets_stay_on_the_host():
    batch = window()
    moved = move_data_to_device(batch, META)
    assert isinstance(moved, StreamWindow)
    assert moved.tokens.is_meta
    assert moved.targets is batch.targets
    assert moved[2:] == batch[2:]


def test_output_layers_get_targets_on_the_host():
    model = model_with(FullSoftmax).to(META)
    given, compute = [], model.head.loss
    model.head.loss = lambda states, targets: given.append(targets) or compute(states, targets)
    for _ in range(3):  # the first window has no carry
        model.training_step(window().to(META), 0)
    assert [targets.device.type for targets in given] == ["cpu"] * 3


@every_layer
def test_training_never_waits_for_a_device(head):
    dropouts = Dropouts(words=0.2, inputs=0.3, outputs=0.3)
    model = model_with(head, dropout=dropouts, penalty=ActivationPenalty()).to(META)
    for batch in (window(), window(reread_next=2), window()):
        loss = model.training_step(batch.to(META), 0)
        loss.backward()
    assert loss.is_meta
    assert all(parameter.grad.is_meta for parameter in model.parameters())


@every_layer
def test_evaluation_never_waits_for_a_device(head):
    model = model_with(head).to(META).eval()
    with torch.no_grad():
        for _ in range(2):
            model.validation_step(window().to(META), 0)
        targets, log_probs = model.predict_step(window().to(META), 0)
    assert model.evaluation.every.total.is_meta
    assert not targets.is_meta
    assert log_probs.shape == targets.shape


def no_waits(function):
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        return function()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_steps_on_a_gpu_never_wait(head, dtype):
    model = model_with(head, penalty=ActivationPenalty()).cuda()
    device = torch.device("cuda", 0)

    def train():
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            loss = model.training_step(window().to(device), 0)
        loss.backward()

    def evaluate():
        with torch.no_grad():
            model.validation_step(window().to(device), 0)

    for step in (train, evaluate):
        step()  # the first step builds tables and starts libraries
        no_waits(step)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.gpu
def test_evaluation_on_a_gpu_is_that_of_the_cpu():
    model = model_with(ALL["full"]).eval()
    with torch.no_grad():
        model.validation_step(window(), 0)
        expected = model.evaluation.every.compute()
        model.on_validation_epoch_start()
        model.cuda().validation_step(window().to("cuda"), 0)
    assert model.evaluation.every.count.item() == 16
    torch.testing.assert_close(model.evaluation.every.compute().cpu(), expected, rtol=1e-5, atol=0)
