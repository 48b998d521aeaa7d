"""TensorFloat-32 is allowed while a model is trained, and at no other time."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule

from pipeline.callbacks.tf32 import TF32Training
from pipeline.float32 import tf32


@pytest.mark.filterwarnings("ignore:Please use the new API settings")
def test_each_stage():
    callback, model = TF32Training(), LightningModule()
    fit, validate = (SimpleNamespace(state=SimpleNamespace(fn=fn)) for fn in ("fit", "validate"))
    stages = [
        (callback.on_train_start, fit, True),
        (callback.on_validation_start, fit, False),
        (callback.on_validation_end, fit, True),
        (callback.on_train_end, fit, False),
        (callback.on_train_start, fit, True),
        (callback.on_validation_start, validate, False),
        (callback.on_validation_end, validate, False),
    ]
    with tf32(False):
        for hook, trainer, expected in stages:
            hook(trainer, model)
            assert torch.backends.cudnn.allow_tf32 is expected
            assert torch.backends.cuda.matmul.allow_tf32 is expected
