"""The classifier: its loss retyped, what padding and neighbours cannot change, word dropout."""

import pytest
import torch

from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedTexts
from datamodules.batching.texts import LabelledText
from pipeline.encoders import GRU, LSTM, Elman, Identity, Window
from pipeline.inputs import Affixes, Words
from pipeline.pooling import Attention, Max, Mean, MeanMax
from pipeline.regularization import leave_out_words
from pipeline.text.lexicon import Labels, Lexicon
from tasks.sentiment import SentenceClassifier

LEXICON = Lexicon({"a": 4, "b": 3, "c": 2, "d": 1, "e": 1}, {})
LABELS = Labels(("bad", "fair", "good"), (4, 1, 1))
TEXTS = [
    LabelledText(("a", "b", "c"), "good"),
    LabelledText(("d",), "bad"),
    LabelledText(("c", "a", "e", "b", "a"), "fair"),
    LabelledText(("b", "b"), "none"),
]


def classifier(encoder=None, **settings):
    torch.manual_seed(1)
    return SentenceClassifier(
        encoder or LSTM(4, 3, bidirectional=True), LEXICON, LABELS, **settings
    )


def batch(rows, texts=TEXTS):
    encoded = EncodedTexts(texts, LEXICON, LABELS.names)
    return encoded.batch(BatchShare(rows, len(rows), 1), 1)


def test_the_deep_averaging_network_is_its_formula():
    model = classifier(Identity(4), pooling=Mean(), hidden_sizes=[5]).double().eval()
    table, unknown = model.inputs[0].table.weight, model.inputs[0].unknown
    first, second = model.layers[1], model.layers[4]
    rows = model.inputs[0].index([*TEXTS[2].tokens]).squeeze(1)
    assert (rows > 0).all()
    assert unknown.shape == (4,)
    mean = table[rows].mean(0)
    hidden = (first.weight @ mean + first.bias).clamp(min=0)
    expected = second.weight @ hidden + second.bias
    torch.testing.assert_close(model(batch([2, 1]))[0], expected)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_the_loss(weights):
    model = classifier(class_weights=weights).double()
    rows = [0, 1, 2]
    loss = model.training_step(batch(rows), 0)
    log_probs = model(batch(rows)).log_softmax(-1)
    weight = {"none": (1.0, 1.0, 1.0), "balanced": (6 / 12, 6 / 3, 6 / 3)}[weights]
    gold = [2, 0, 1]
    expected = -sum(weight[g] * log_probs[i, g] for i, g in enumerate(gold)) / 3
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("pooling", [None, Mean, Max, MeanMax, Attention])
@pytest.mark.parametrize("encoder", [Elman, GRU, LSTM])
def test_neighbours_and_padding_cannot_be_seen(encoder, pooling):
    model = classifier(
        encoder(4, 3, num_layers=2, bidirectional=True), pooling=pooling and pooling()
    ).double()
    model.eval()
    together = model.predict(batch([0, 1, 2, 3]))
    for row in range(4):
        torch.testing.assert_close(model.predict(batch([row]))[0], together[row])
    torch.testing.assert_close(together.sum(-1), torch.ones(4, dtype=torch.float64))


def test_every_parameter_is_trained():
    for pooling in (Mean(), Attention(3)):
        model = classifier(pooling=pooling, hidden_sizes=[6], dropout=0.1, word_dropout=0.2)
        model.training_step(batch([0, 1, 2]), 0).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name


def test_words_are_left_out():
    torch.manual_seed(5)
    many = batch([0, 1, 2, 3] * 250)
    left = leave_out_words(many, 0.4)
    whole = {0: [0, 1, 2], 1: [3], 2: [2, 0, 4, 1, 0], 3: [1, 1]}
    kept = 0
    for row, words, length in zip(
        left.rows.tolist(), left.words.tolist(), left.lengths.tolist(), strict=True
    ):
        assert 1 <= length <= len(whole[row])
        remaining = iter(whole[row])  # in their order
        assert all(any(word == other for other in remaining) for word in words[:length])
        kept += length
    # Of n words none is left with 0.4^n, and then all are kept.
    expected = sum(250 * (0.6 * n + 0.4**n * n) for n in (3, 1, 5, 2))
    assert kept == pytest.approx(expected, rel=0.03)


def test_an_unseen_label_is_never_right():
    model = classifier()
    model.on_test_epoch_start()
    model.test_step(batch([0, 1, 2, 3]), 0)
    assert model.scores.compute()["texts"] == 4
    assert model.scores.confusion[3].sum() == 1


def test_an_empty_share_adds_nothing():
    model = classifier()
    model.on_test_epoch_start()
    model.test_step(batch([]), 0)
    assert model.scores.confusion.sum() == 0
    assert float(model.training_step(batch([])._replace(targets_per_rank=1.0), 0)) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"word_dropout": 1.0}, "word_dropout must be at least 0 and below 1"),
        ({"hidden_sizes": [0]}, "hidden_sizes must be at least 1"),
        ({"monitor": "val/acuracy"}, "monitor is 'val/acuracy', but the metrics are val/acc"),
        ({"monitor": "train/loss"}, "monitor is 'train/loss', but the metrics are"),
        ({"encoder": Identity(4)}, "a state of Identity depends on a few words; use Mean or Max"),
        ({"encoder": Window(4, 1)}, "a state of Window depends on a few words"),
        ({"inputs": [Words(4), Affixes(size=3)]}, "Words 4 . Affixes 3 = 7 features per token"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        classifier(**settings)


@pytest.mark.parametrize(
    ("monitor", "mode"), [("accuracy", "max"), ("macro_f1", "max"), ("calibration_error", "min")]
)
def test_the_better_direction(monitor, mode):
    assert classifier(monitor=f"val/{monitor}").monitor_mode == mode


def test_attention_of_a_model_without():
    with pytest.raises(ValueError, match="but this one has Last"):
        classifier().attention(batch([0]))
