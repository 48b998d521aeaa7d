import pytest
import torch

from pipeline.checkpoints.read import Trained
from pipeline.encoders import LSTM
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel

WORDS = ["<eos>", "a", "b", "c", "d", "<unk>"]


@pytest.fixture
def trained():
    """A language model that is far from uniform, so that memory and order matter."""
    torch.manual_seed(4)
    model = LanguageModel(LSTM(3, 5), vocabulary=Vocabulary(WORDS), embedding_scale=2.0).eval()
    torch.nn.init.normal_(model.head.weight, std=2.0)
    for parameter in model.encoder.parameters():
        torch.nn.init.normal_(parameter)
    return Trained(model, {"vocabulary": WORDS, "counts": None, "unit": "word"}, {})


@pytest.fixture
def checkpoint(trained, tmp_path):
    """The file of that model."""
    encoder = {"class_path": "pipeline.encoders.LSTM"}
    encoder["init_args"] = {"input_size": 3, "hidden_size": 5}
    model = {"class_path": "tasks.language_model.LanguageModel", "init_args": {"encoder": encoder}}
    data = {"class_path": "datamodules.language_model.datamodule.LanguageModelData"}
    path = tmp_path / "model.ckpt"
    torch.save(
        {
            "config": {"model": model, "data": data},
            "state_dict": trained.model.state_dict(),
            "LanguageModelData": trained.data,
        },
        path,
    )
    return path
