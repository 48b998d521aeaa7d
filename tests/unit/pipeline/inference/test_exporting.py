"""Exported files compute what the models compute; the oracle is ONNX Runtime or safetensors."""

import json
import sys

import jaxtyping
import pytest
import torch

from pipeline.checkpoints.read import Trained
from pipeline.decoders import CRF
from pipeline.encoders import GRU, LSTM, Elman
from pipeline.errors import InputError
from pipeline.inference.exporting import graph_of, write_onnx, write_safetensors
from pipeline.inference.exporting.onnx_file import largest_difference, open_session
from pipeline.inputs import Capitalisation, CharacterCNN, CharacterLSTM, Words
from pipeline.pooling import Attention, MeanMax
from pipeline.text.lexicon import Labels, Lexicon
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger

LEXICON = Lexicon(dict.fromkeys(["the", "minister", "criticized", "it", "."], 2), {})
DATA = {"lexicon": LEXICON.to_state()}


def tagger(encoder=LSTM, spelling=Capitalisation):
    torch.manual_seed(1)
    parts = [Words(size=6, init_scale=2.0), spelling(size=2)]
    size = sum(part.output_size for part in parts)
    return Trained(
        Tagger(
            encoder(size, 5, bidirectional=True), LEXICON, ("O", "B-X"), inputs=parts, decoder=CRF
        ).eval(),
        DATA,
        {},
        "tagger",
    )


def classifier(pooling=MeanMax):
    torch.manual_seed(2)
    encoder = LSTM(6, 5, num_layers=2, bidirectional=True)
    model = SentenceClassifier(
        encoder,
        LEXICON,
        Labels(["bad", "good"], counts=[1, 1]),
        inputs=[Words(size=6, init_scale=2.0)],
        pooling=pooling(10) if pooling is Attention else pooling(),
    )
    return Trained(model.eval(), DATA, {}, "classifier")


def language_model(encoder=LSTM):
    torch.manual_seed(3)
    vocabulary = Vocabulary(["<unk>", "<eos>", *LEXICON.counts])
    return Trained(LanguageModel(encoder(6, 5), vocabulary).eval(), {}, {}, "lm")


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Switches the type checks of tests off: sizes are tensors while a model is traced."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


MODELS = {
    "tagger": tagger,
    "tagger-characters": lambda: tagger(spelling=CharacterLSTM),
    "tagger-filters": lambda: tagger(spelling=CharacterCNN),
    "classifier": classifier,
    "classifier-attention": lambda: classifier(Attention),
    "language model": language_model,
    "language model-elman": lambda: language_model(Elman),
}


@pytest.mark.parametrize("name", MODELS)
def test_onnx_computes_what_the_model_does_for_any_sizes(name, tmp_path):
    trained, file = MODELS[name](), tmp_path / "model.onnx"
    assert write_onnx(trained, file) < 1e-5
    graph, session = graph_of(trained), open_session(file)
    for seed, lengths in enumerate([(1,), (2, 30), (6, 6, 6, 6)]):
        inputs = graph.example(torch.tensor(lengths), 100 + seed)
        assert largest_difference(graph, session, inputs) < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["kind"] == name.partition("-")[0]
    if name == "classifier":
        assert json.loads(metadata["labels"]) == ["bad", "good"]
        words = trained.model.inputs.index(["it", "unseen"], {})[0].flatten().tolist()
        assert (json.loads(metadata["words_0"])["it"], 0) == (words[0], words[1])
    if name == "tagger-characters":
        numbers, part = json.loads(metadata["characterlstm_1"]), trained.model.inputs.parts[1]
        assert [[numbers[letter] for letter in "mister"]] == part.index(["mister"]).tolist()
        unseen = ["it", "antidisestablishmentarian", "xx", "."]  # longer than any known word
        ids = trained.model.inputs.index(unseen, {})
        for words in ([0], [1, 0, 3], [2, 3, 2, 3, 1]):
            rows = [table[words].unsqueeze(0) for table in ids]
            inputs = [*rows, torch.tensor([len(words)])]
            assert largest_difference(graph, session, inputs) < 1e-5


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.inference.exporting.onnx_file._TOLERANCE", -1.0)
    with pytest.raises(InputError, match="the results of the ONNX file differ from those of the"):
        write_onnx(classifier(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_of_one_length_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be exported"):
        write_onnx(tagger(GRU), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_safetensors_have_all_weights(tmp_path):
    from safetensors import safe_open

    trained = classifier()
    state = trained.model.state_dict()
    assert write_safetensors(trained, tmp_path / "x.safetensors") == len(state)
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert set(file.keys()) == set(state)
        assert all(torch.equal(file.get_tensor(key), state[key]) for key in state)
        assert json.loads(file.metadata()["data"])["lexicon"] == LEXICON.to_state()


@pytest.mark.parametrize(
    ("package", "write", "ending"),
    [
        ("onnx", write_onnx, "onnx"),
        ("onnxruntime", write_onnx, "onnx"),
        ("safetensors.torch", write_safetensors, "safetensors"),
    ],
)
def test_a_missing_extra(package, write, ending, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=rf"\.{ending} needs the Python package .*unroll\[export\]"
    ):
        write(classifier(), tmp_path / f"x.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_an_ngram_model_has_no_graph():
    model = torch.nn.Module()
    with pytest.raises(InputError, match="but this format needs a tagger, a text classifier or a"):
        graph_of(Trained(model, {}, {}, "x"))
