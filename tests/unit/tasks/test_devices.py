"""Training steps whose host never waits for a device, and parts that can be exported.

On the device "meta" tensors have no values: reading one on the host raises an error.
"""

import itertools
from contextlib import nullcontext
from functools import partial

import jaxtyping
import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

import pipeline.decoders.base
import tasks.sentiment
from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedSentences, EncodedTexts
from datamodules.batching.sentences import Sentence
from datamodules.batching.texts import LabelledText
from pipeline.batches import Series
from pipeline.decoders import CRF, ConstrainedSoftmax, Softmax
from pipeline.encoders import GRU, LSTM
from pipeline.inputs import Affixes, Capitalisation, CharacterCNN, CharacterLSTM, Column, Words
from pipeline.pooling import Attention, Last, Max, Mean, MeanMax
from pipeline.synthetic import Adding, Copying
from pipeline.text.lexicon import Labels, Lexicon
from tasks.long_memory import LongMemory
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger

TAGS = ("O", "B-P", "I-P")
WORDS = ("a", "bee", "sea", "d", "antidote")
LEXICON = Lexicon(dict.fromkeys(WORDS, 2), {"pos": ("X", "Y")})
LABELS = Labels(("bad", "good"), (3, 1))
DECODERS = [Softmax, ConstrainedSoftmax, CRF, lambda size, tags: CRF(size, tags, miss_cost=0.5)]
POOLINGS = [Last, Mean, Max, MeanMax, Attention]


def parts(dropout=0.3):
    return [
        Words(size=4, unknown_chance=dropout),
        Column("pos", size=2),
        Capitalisation(size=2),
        Affixes(size=3, min_count=1),
        CharacterCNN(size=5, dropout=dropout),
        CharacterLSTM(size=4, dropout=dropout),
    ]


def sentences():
    rows = [
        Sentence(("a", "bee", "d"), ("B-P", "I-P", "O"), (("X", "Y", "X"),)),
        Sentence(("antidote",), ("O",), (("Y",),)),
        Sentence(("d", "d", "sea", "a"), ("O", "B-P", "B-P", "O"), (("X",) * 4,)),
    ]
    return EncodedSentences(rows, LEXICON, TAGS).batch(BatchShare([0, 1, 2], 3, 8), 1)


def texts():
    rows = [LabelledText(WORDS[:n], LABELS.names[n % 2]) for n in (4, 1, 5)]
    lexicon = Lexicon(LEXICON.counts, {})
    return EncodedTexts(rows, lexicon, LABELS.names).batch(BatchShare([0, 1, 2], 3, 10), 1)


def tagger(decoder, **settings):
    torch.manual_seed(0)
    return Tagger(LSTM(20, 5, bidirectional=True), LEXICON, TAGS, parts(**settings), decoder)


def classifier(pooling, **settings):
    torch.manual_seed(0)
    encoder = LSTM(6, 3, bidirectional=True)
    return SentenceClassifier(
        encoder, LEXICON, LABELS, [Words(6)], pooling(), class_weights="balanced", **settings
    )


def step(model, batch, device):
    """Loss and gradients of a training step."""
    model = model.to(device)
    model.training_step(move_data_to_device(batch, torch.device(device)), 0).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_tagger_waits_for_nothing(decoder):
    model = tagger(decoder)
    assert all(grad is not None for grad in step(model, sentences(), "meta").values())


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_classifier_waits_for_nothing(pooling):
    model = classifier(pooling, word_dropout=0.5, dropout=0.1, hidden_sizes=[4])
    assert all(grad is not None for grad in step(model, texts(), "meta").values())


@pytest.mark.parametrize("problem", [Adding(10), Copying(3, 2, 2)])
def test_a_long_memory_task_waits_for_nothing(problem):
    model = LongMemory(GRU(problem.input_size, 3), problem)
    targets = torch.zeros(2, 1) if problem.kind == "adding" else torch.zeros(2, 7).long()
    batch = Series(torch.zeros(2, problem.num_steps, problem.input_size), targets, 2.0, 20.0)
    assert all(grad is not None for grad in step(model, batch, "meta").values())


def test_tokens_instead_of_distinct_words(monkeypatch):
    """A device computes characters for each token, not for each word, with the same result."""
    model = tagger(Softmax, dropout=0.0).double()
    batch = sentences()
    by_word = model(batch)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(model(batch), by_word, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "make", [*(partial(tagger, d) for d in DECODERS), partial(classifier, Max)]
)
def test_evaluation_waits_once(make, monkeypatch):
    """All that is read on the host comes from one call of `on_host`."""
    waits = []

    def on_host(*tensors):
        waits.append(len(tensors))
        return [torch.zeros(tensor.shape, dtype=tensor.dtype) for tensor in tensors]

    for module in (pipeline.decoders.base, tasks.sentiment):
        monkeypatch.setattr(module, "on_host", on_host)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # not on "meta"
    model = make().to("meta").eval()
    batch = sentences() if isinstance(model, Tagger) else texts()
    model.validation_step(move_data_to_device(batch, torch.device("meta")), 0)
    assert len(waits) == 1
    assert len(model._evaluated) == 3


class Emissions(torch.nn.Module):
    """Tokens in, probabilities of tags out."""

    def __init__(self, model, batch):
        super().__init__()
        self.model, self.batch = model, batch

    def forward(self, words, columns, lengths):
        states = self.model(self.batch._replace(words=words, columns=columns, lengths=lengths))
        return self.model.decoder.marginals(states, lengths)


class Probabilities(torch.nn.Module):
    """Tokens in, probabilities of labels out."""

    def __init__(self, model, batch):
        super().__init__()
        self.model, self.batch = model, batch

    def forward(self, words, columns, lengths):
        texts = self.batch._replace(words=words, columns=columns, lengths=lengths)
        return self.model(texts).softmax(-1)


MODELS = [
    *((Emissions, tagger, part, sentences()) for part in DECODERS[:3]),
    *((Probabilities, classifier, part, texts()) for part in POOLINGS),
]


@pytest.fixture
def compiler(monkeypatch):
    """Runs the code that users compile, without the shape checks that tests add."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    torch.compiler.reset()
    # torch refuses `nn.LSTM` in compiled code unless this is set.
    with torch._dynamo.config.patch(allow_rnn=True):
        yield torch.compiler


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(("kind", "make", "part", "batch"), MODELS)
def test_compiled_and_exported(kind, make, part, batch):
    model = kind(make(part), batch).eval()
    inputs = (batch.words, batch.columns, batch.lengths)
    expected = model(*inputs)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs), expected)
    exported = torch.export.export(model, inputs).module()
    torch.testing.assert_close(exported(*inputs), expected)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("make", "part", "batch"),
    [
        *itertools.product([tagger], DECODERS, [sentences()]),
        *itertools.product([classifier], POOLINGS, [texts()]),
    ],
)
def test_training_on_a_gpu(make, part, batch):
    settings = {"dropout": 0.0} if make is tagger else {}
    expected = step(make(part, **settings).double(), batch, "cpu")
    model = make(part, **settings).double().cuda()
    moved = move_data_to_device(batch, torch.device("cuda"))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(2):
            model.zero_grad()
            model.training_step(moved, 0).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad.cpu(), expected[name], rtol=1e-8, atol=1e-10)


@pytest.mark.gpu
@pytest.mark.parametrize("decoder", DECODERS[:3])
def test_evaluation_on_a_gpu_waits_once(decoder):
    model = tagger(decoder).double().eval()
    expected = model.predict(sentences())
    model, batch = model.cuda(), move_data_to_device(sentences(), torch.device("cuda"))
    model.validation_step(batch, 0)  # copies tables
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchroniz") as caught:
            model.validation_step(batch, 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([one for one in caught if "synchroniz" in str(one.message)]) == 1
    for row, one in model.predict_step(batch, 0).items():
        assert one.tags == expected[row].tags
        assert one.log_probs == pytest.approx(expected[row].log_probs, rel=1e-8)
