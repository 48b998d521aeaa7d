"""Every encoder trains inside each task: all that is learned gets a gradient, and moves."""

import abc
import inspect

import pytest
import torch

import pipeline.encoders
from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedSentences, EncodedTexts
from datamodules.batching.sentences import Sentence
from datamodules.batching.texts import LabelledText
from datamodules.long_memory.datamodule import SyntheticBatches
from pipeline.batches import StreamWindow
from pipeline.encoders.settings import Recurrent
from pipeline.inputs import Words
from pipeline.synthetic import Adding
from pipeline.text.lexicon import Labels, Lexicon
from tasks.language_model import LanguageModel
from tasks.long_memory import LongMemory
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger
from tests.examples import vocabulary

SETTINGS = {
    "Elman": {},
    "GRU": {},
    "LSTM": {},
    "IRNN": {},
    "CoupledLSTM": {},
    "MinGRU": {},
    "MinLSTM": {},
    "QRNN": {},
    "SRU": {},
    "MogrifierLSTM": {},
    "SLSTM": {},
}
"""Class name in `pipeline.encoders` -> settings beside the sizes."""

LEXICON = Lexicon({"a": 4, "b": 3, "c": 2, "d": 1}, {})
WORDS = [("a", "b", "c", "a"), ("d", "b"), ("c", "a", "d")]


def encoder(name, input_size=4, **settings):
    torch.manual_seed(1)
    return getattr(pipeline.encoders, name)(
        input_size, 6, num_layers=2, **{**SETTINGS[name], **settings}
    )


def language_model(name):
    tokens = torch.tensor([[1, 2, 3, 4, 2], [3, 1, 1, 2, 4]])
    model = LanguageModel(encoder(name), vocabulary(5))
    return model, StreamWindow(tokens, tokens.roll(-1, dims=1), 10.0)


def tagger(name):
    tags = ("O", "B-x", "I-x")
    gold = [("O", "B-x", "I-x", "O"), ("B-x", "O"), ("O", "O", "B-x")]
    rows = [Sentence(words, tag) for words, tag in zip(WORDS, gold, strict=True)]
    encoded = EncodedSentences(rows, LEXICON, tags)
    parts = [Words(4, unknown_chance=0.5)]
    model = Tagger(encoder(name, bidirectional=True), LEXICON, tags, parts)
    return model, encoded.batch(BatchShare([0, 1, 2], 3, 9), 1)


def classifier(name):
    texts = [
        LabelledText(words, label) for words, label in zip(WORDS, ("x", "y", "x"), strict=True)
    ]
    encoded = EncodedTexts(texts, LEXICON, ("x", "y"))
    model = SentenceClassifier(
        encoder(name, bidirectional=True),
        LEXICON,
        Labels(("x", "y"), (2, 1)),
        [Words(4, unknown_chance=0.5)],
    )
    return model, encoded.batch(BatchShare([0, 1, 2], 3, 9), 1)


def memory_problem(name):
    problem = Adding(7)
    return LongMemory(encoder(name, 2), problem), next(
        iter(SyntheticBatches(problem, [8], lambda: (1,)))
    )


def test_the_table_has_every_recurrent_encoder():
    classes = [one for one in vars(pipeline.encoders).values() if inspect.isclass(one)]
    named = [one for one in classes if issubclass(one, Recurrent) and abc.ABC not in one.__bases__]
    assert set(SETTINGS) == {one.__name__ for one in named if one is not Recurrent}


@pytest.mark.parametrize("make", [language_model, tagger, classifier, memory_problem])
@pytest.mark.parametrize("name", SETTINGS)
def test_every_parameter_is_trained(name, make):
    model, batch = make(name)
    model.train()
    learned = {key: p for key, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(learned.values(), lr=0.01)
    before = {key: value.detach().clone() for key, value in learned.items()}
    for step in range(3):
        optimizer.zero_grad()
        loss = model.training_step(batch, step)
        loss.backward()
        for key, parameter in learned.items():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
        optimizer.step()
    for key, parameter in learned.items():
        assert not torch.equal(parameter, before[key]), key
