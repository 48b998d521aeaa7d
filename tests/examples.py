"""Small vocabularies and models for tests."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

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


def vocabulary(size: int, counts: Sequence[int] | None = None) -> Vocabulary:
    """`<eos>`, `<unk>` and w2, w3, ...; as frequent as `counts` says, else ever rarer."""
    words = [EOS, UNK, *(f"w{index}" for index in range(2, size))]
    return Vocabulary(words, range(2 * size, size, -1) if counts is None else counts)


def language_model() -> Trained:
    """Returns a model of six words, far from uniform, so that context and order matter."""
    torch.manual_seed(4)
    model = LanguageModel(LSTM(3, 5), vocabulary=Vocabulary(SIX_WORDS), embedding_scale=2.0).eval()
    torch.nn.init.normal_(model.head.weight, std=2.0)
    for parameter in model.encoder.parameters():
        torch.nn.init.normal_(parameter)
    return Trained(model, {"vocabulary": SIX_WORDS, "counts": None, "unit": "word"}, {})
