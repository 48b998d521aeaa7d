"""Starting from a language model: what is taken, what stays, what moves, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedTexts
from datamodules.batching.texts import LabelledText
from pipeline.callbacks import encoder_start
from pipeline.callbacks.encoder_start import EncoderStart
from pipeline.checkpoints.read import Trained
from pipeline.encoders import GRU, LSTM, Elman
from pipeline.errors import InputError
from pipeline.inputs import Words
from pipeline.text.lexicon import Labels, Lexicon, Vectors
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tasks.sentiment import SentenceClassifier

VOCABULARY = ["<eos>", "the", "film", "<unk>", "good"]
LEXICON = Lexicon({"The": 4, "film": 3, "strange": 2, "good": 1}, {})


@pytest.fixture
def source(monkeypatch):
    torch.manual_seed(1)
    model = LanguageModel(LSTM(4, 6, num_layers=2), Vocabulary(VOCABULARY))
    trained = Trained(model, {"vocabulary": VOCABULARY, "counts": None}, {})
    monkeypatch.setattr(encoder_start, "load_run", lambda run, needed, kind: trained)
    return model


def classifier(start, encoder=None, lexicon=LEXICON, **settings):
    torch.manual_seed(2)
    encoder = encoder or LSTM(4, 6, num_layers=2)
    labels = Labels(("bad", "good"), (1, 1))
    rate = lambda parameters: torch.optim.SGD(parameters, lr=0.5)  # noqa: E731
    return SentenceClassifier(
        encoder, lexicon, labels, encoder_from=start, optimizer=rate, **settings
    )


def trainer_of(model, epoch=0, ckpt_path=None):
    """What the callback and the optimizer read of a trainer."""
    callbacks = model.configure_callbacks()
    return SimpleNamespace(callbacks=callbacks, current_epoch=epoch, ckpt_path=ckpt_path)


def begin(model):
    model._trainer = trainer_of(model)
    model.encoder_start.read_files()
    model.encoder_start.check_model(model)
    model.encoder_start.setup(model._trainer, model, "fit")
    return model


def test_what_is_taken(source):
    model = begin(classifier("a-run"))
    for name, value in source.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value)
    words = model.inputs[0]
    rows = words.index(["The", "film", "strange", "good"])
    expected = source.embedding.weight[torch.tensor([1, 2, 3, 4])]  # "The" as "the"
    torch.testing.assert_close(words(rows), expected)
    torch.testing.assert_close(words(words.index(["new"]))[0], source.embedding.weight[3])


def steps(model, epoch):
    """One update in an epoch, as Lightning orders the hooks."""
    texts = [LabelledText(("The", "film"), "bad"), LabelledText(("good", "strange"), "good")]
    batch = EncodedTexts(texts, LEXICON, ("bad", "good")).batch(BatchShare([0, 1], 2, 4), 1)
    optimizer = model.configure_optimizers()
    model.training_step(batch, 0).backward()
    model.encoder_start.on_before_optimizer_step(trainer_of(model, epoch), model, optimizer)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    gradients = {name: value.grad for name, value in model.named_parameters()}
    optimizer.step()
    return {
        name: ((before[name] - value) / gradients[name]).nanmean().item()
        for name, value in model.named_parameters()
        if gradients[name] is not None and gradients[name].abs().sum() > 0
    }


def test_words_that_training_lacks_are_taken_along_and_kept(source):
    few = Lexicon({"film": 2, "good": 0}, {})  # "good" stands in the test text alone
    model = begin(classifier("a-run", lexicon=few)).eval()
    words = model.inputs[0]
    torch.testing.assert_close(words(words.index(["good"]))[0], source.embedding.weight[4])
    texts = EncodedTexts([LabelledText(("film", "good"), "good")], few, ("bad", "good"))
    batch = texts.batch(BatchShare([0], 1, 2), 1)
    expected = model(batch)
    fresh = classifier(None, lexicon=few).eval()
    assert not torch.equal(fresh(batch), expected)
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh(batch), expected)
    fresh.load_state_dict(model.state_dict())  # they are there already
    torch.testing.assert_close(fresh(batch), expected)
    unknown = EncodedTexts(
        [LabelledText(("film", "new"), "good")], Lexicon({"film": 2, "new": 0}, {}), ()
    )
    other = fresh(unknown.batch(BatchShare([0], 1, 2), 1), fresh.inputs.index(["film", "new"], {}))
    assert not torch.equal(other, expected)


def test_what_is_frozen_does_not_move_and_then_learns_slowly(source):
    start = EncoderStart("a-run", frozen_epochs=2, rate=0.1)
    model = begin(classifier(start)).double()
    assert steps(model, 1).keys() == {"layers.1.weight", "layers.1.bias"}
    rates = steps(model, 2)
    assert {name: round(rate, 4) for name, rate in rates.items() if name.startswith("layers")} == {
        "layers.1.weight": 0.5,
        "layers.1.bias": 0.5,
    }
    taken = [rate for name, rate in rates.items() if not name.startswith("layers")]
    assert taken == pytest.approx([0.05] * len(taken), rel=1e-6)
    assert len(taken) > 5


def test_a_resumed_training_takes_nothing(source):
    model = classifier("a-run")
    start = model.encoder_start
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start.check_model(model)  # nothing was read, so nothing is compared
    start.setup(trainer_of(model, ckpt_path="last.ckpt"), model, "fit")
    start.setup(trainer_of(model), model, "test")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    start.setup(trainer_of(model), model, "fit")
    for name, value in source.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (LSTM(4, 6, num_layers=2, bidirectional=True), r"LSTM \(4 -> 6, causal.*LSTM \(4 -> 12, b"),
        (GRU(4, 6, num_layers=2), "does not fit into GRU"),
        (LSTM(4, 6), "does not fit into LSTM"),
    ],
)
def test_another_encoder(source, encoder, message):
    with pytest.raises(InputError, match=message):
        begin(classifier("a-run", encoder))


def test_no_part_for_the_embedding(source):
    vectors = Vectors("v", ("The",), np.zeros((1, 4), dtype=np.float32))
    given = Lexicon(LEXICON.counts, {}, vectors)
    with pytest.raises(InputError, match="no input part Words is trained from random values"):
        begin(classifier("a-run", lexicon=given))
    wide = [Words(size=3), Words(size=1)]
    with pytest.raises(InputError, match="vectors of 4 numbers, but Words has size 3"):
        begin(classifier("a-run", inputs=wide))


def test_an_encoder_that_computes_something_else(source, monkeypatch):
    monkeypatch.setattr(source, "encoder", Elman(4, 6, nonlinearity="relu"))
    with pytest.raises(InputError, match="computes other states than Elman"):
        begin(classifier("a-run", Elman(4, 6, nonlinearity="tanh")))
    begin(classifier("a-run", Elman(4, 6, nonlinearity="relu")))


def test_a_schedule_that_knows_one_rate(source):
    def one_cycle(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10)

    model = begin(classifier(EncoderStart("a-run", rate=0.1), lr_scheduler=one_cycle))
    with pytest.raises(InputError, match="OneCycleLR sets one learning rate for all parameters"):
        model.configure_optimizers()


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="frozen_epochs must be at least 0, got -1"):
        EncoderStart("a-run", frozen_epochs=-1)
    with pytest.raises(ValueError, match="rate of EncoderStart must be above 0, got 0"):
        EncoderStart("a-run", rate=0)
