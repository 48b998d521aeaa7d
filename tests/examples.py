"""Small vocabularies and models for tests."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from pipeline.checkpoints.read import Trained
from pipeline.encoders import LSTM
from pipeline.errors import InputError
from pipeline.text.vocabulary import EOS, UNK, Vocabulary
from tasks.language_model import LanguageModel

SIX_WORDS = ["<eos>", "a", "b", "c", "d", "<unk>"]


def refuses(message: str):
    """Expects an `InputError` with exactly this message."""
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def quiet_trainer(**settings: Any) -> Trainer:
    """Returns a Trainer on the CPU that prints and stores nothing."""
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return Trainer(**{"accelerator": "cpu", **quiet, **settings})


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def vocabulary(size: int, counts: Sequence[int] | None = None) -> Vocabulary:
    """`<eos>`, `<unk>` and w2, w3, ...; as frequent as `counts` says, else ever rarer."""
    words = [EOS, UNK, *(f"w{index}" for index in range(2, size))]
    return Vocabulary(words, range(2 * size, size, -1) if counts is None else counts)


def check_gradients(module: nn.Module, loss: Callable, states: Tensor) -> None:
    """Compares gradients of `loss(states)`, by parameters too, with finite differences."""

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, states: Tensor) -> Tensor:
            torch.manual_seed(3)
            return loss(states)

    names = [f"module.{name}" for name, _ in module.named_parameters()]

    def with_values(states: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(names, values, strict=True))
        return torch.func.functional_call(Loss(), named, (states,))

    values = [value.detach().clone().requires_grad_() for value in module.parameters()]
    assert torch.autograd.gradcheck(with_values, (states.detach().requires_grad_(), *values))


def value_error(message: str):
    """Expects a ValueError with exactly this message."""
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no bfloat16 units"
)
autocast_or_not = pytest.mark.parametrize(
    "autocast", [False, pytest.param(True, marks=needs_bfloat16)]
)


def language_model() -> Trained:
    """Returns a model of six words, far from uniform, so that context and order matter."""
    torch.manual_seed(4)
    model = LanguageModel(LSTM(3, 5), vocabulary=Vocabulary(SIX_WORDS), embedding_scale=2.0).eval()
    torch.nn.init.normal_(model.head.weight, std=2.0)
    for parameter in model.encoder.parameters():
        torch.nn.init.normal_(parameter)
    return Trained(model, {"vocabulary": SIX_WORDS, "counts": None, "unit": "word"}, {})
