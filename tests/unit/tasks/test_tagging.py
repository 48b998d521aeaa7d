"""The tagger: its loss and its predictions depend on sentences, not on how they are batched."""

import math

import numpy as np
import pytest
import torch
from seqeval.metrics import precision_score, recall_score

from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedSentences
from datamodules.batching.sentences import Sentence
from pipeline.batches import UNSEEN_TAGS
from pipeline.decoders import CRF, ConstrainedSoftmax, Softmax
from pipeline.decoders.base import Decoded
from pipeline.encoders import LSTM, Elman
from pipeline.inputs import Column, Words
from pipeline.text.lexicon import Lexicon, Vectors
from tasks.tagging import Tagger

TAGS = ("O", "B-P", "I-P")
SENTENCES = [
    Sentence(("a", "b", "c", "a"), ("B-P", "I-P", "O", "O"), (("X", "Y", "X", "Y"),)),
    Sentence(("d",), ("O",), (("Y",),)),
    Sentence(("b", "b", "e", "a", "c", "d"), ("O", "B-P", "I-P", "B-P", "O", "O"), (("X",) * 6,)),
]
LEXICON = Lexicon({"a": 3, "b": 3, "c": 2, "d": 2, "e": 1}, {"pos": ("X", "Y")})


def tagger(decoder=Softmax, lexicon=LEXICON, **settings):
    torch.manual_seed(5)
    encoder = LSTM(input_size=7, hidden_size=4, num_layers=2, bidirectional=True)
    parts = [Words(size=5, init_scale=1.0), Column("pos", size=2)]
    model = Tagger(encoder, lexicon, TAGS, inputs=parts, decoder=decoder, **settings)
    torch.nn.init.normal_(model.decoder.linear.weight)  # so that predictions differ
    return model.double()


def batch(*rows):
    encoded = EncodedSentences(SENTENCES, LEXICON, TAGS)
    return encoded.batch(BatchShare(rows, len(rows), sum(encoded.lengths[row] for row in rows)), 1)


@pytest.mark.parametrize("decoder", [Softmax, ConstrainedSoftmax, CRF])
def test_a_batch_is_its_sentences(decoder):
    model = tagger(decoder).eval()
    together = model.predict(batch(0, 1, 2))
    for row, one in enumerate(together):
        (alone,) = model.predict(batch(row))
        assert alone.tags == one.tags
        assert alone.log_probs == pytest.approx(one.log_probs, abs=1e-9)
    whole = model.training_step(batch(0, 1, 2), 0) * 11
    parts = sum(model.training_step(batch(r), 0) * len(SENTENCES[r].tokens) for r in range(3))
    assert float(whole) == pytest.approx(float(parts), rel=1e-12)


@pytest.mark.parametrize("decoder", [Softmax, CRF])
def test_the_test_keeps_the_nll_of_each_sentence(decoder):
    """Per token; a tag that training lacks has the probability 1e-12."""
    model = tagger(decoder).eval()
    model.test_step(batch(0, 1, 2), 0)
    for row in (0, 1, 2):
        expected = model.training_step(batch(row), 0)
        assert model._evaluated[row].nll == pytest.approx(float(expected), rel=1e-12)
    known = batch(1)
    model.test_step(known._replace(tags=torch.full_like(known.tags, UNSEEN_TAGS)), 0)
    [states] = model(known)
    others = model.decoder.nll(states.unsqueeze(0), torch.zeros_like(known.tags), known.lengths)
    assert model._evaluated[1].nll == pytest.approx(float(others) - math.log(1e-12))


def test_the_loss_is_the_mean_over_tokens_or_their_sum(monkeypatch):
    mean, total = tagger().eval(), tagger(gradients="sum").eval()
    monkeypatch.setattr(Tagger, "trainer", type("OneRank", (), {"world_size": 1}))
    states = mean(batch(0, 2))
    logits = states @ mean.decoder.linear.weight.T + mean.decoder.linear.bias
    gold = [(0, 1), (1, 2), (2, 0), (3, 0)], [(0, 0), (1, 1), (2, 2), (3, 1), (4, 0), (5, 0)]
    nll = 0.0
    for row, pairs in enumerate(gold):
        for step, tag in pairs:
            scores = logits[row, step].tolist()
            nll += math.log(sum(math.exp(score) for score in scores)) - scores[tag]
    assert float(mean.training_step(batch(0, 2), 0)) == pytest.approx(nll / 10, rel=1e-12)
    assert float(total.training_step(batch(0, 2), 0)) == pytest.approx(nll, rel=1e-12)


def test_other_words_are_read_through_tables_of_their_own():
    model = tagger().eval()
    expected = model.predict(batch(0))
    words, columns = ["new", "c", "b", "a"], {"pos": ["Y", "X"]}
    tables = model.inputs.index(words, columns)
    sentence = batch(0)._replace(
        words=torch.tensor([[3, 2, 1, 3]]), columns=torch.tensor([[[2], [1], [2], [1]]])
    )
    assert model.predict(sentence, tables) == expected
    unknown = model(sentence._replace(words=torch.tensor([[0, 2, 1, 3]])), tables)
    assert not torch.equal(unknown, model(sentence, tables))


def test_an_empty_row_is_predicted_as_nothing_and_costs_nothing():
    model = tagger().eval()
    empty = EncodedSentences(SENTENCES, LEXICON, TAGS).batch(BatchShare([], 1, 1), 1)
    assert [one.tags for one in model.predict(empty)] == [[]]
    loss = model.training_step(empty, 0)
    assert loss == 0
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(grad is not None and not grad.any() for grad in gradients)  # DDP waits for each


def test_frozen_vectors_are_not_optimised():
    vectors = Vectors("v", ("a", "b"), np.ones((2, 5), dtype=np.float32))
    parts = [Words(size=5, tuned=False)]
    model = Tagger(
        Elman(5, 3, bidirectional=True), Lexicon({"a": 1, "b": 1}, {}, vectors), TAGS, inputs=parts
    )
    optimised = {
        id(p) for group in model.configure_optimizers().param_groups for p in group["params"]
    }
    assert id(parts[0].table.weight) not in optimised
    assert id(parts[0].unknown) in optimised
    assert id(model.calibration) not in optimised


def test_sizes_that_do_not_add_up_are_named():
    parts = [Words(size=5), Column("pos", size=2)]
    with pytest.raises(ValueError, match=r"Words 5 \+ Column 2 = 7 .* input_size 8; set .*=7$"):
        Tagger(Elman(8, 3), LEXICON, TAGS, inputs=parts)


@pytest.mark.parametrize("gold", ["B-ORG I-FAC I-GPE", "B-ORG B-FAC I-GPE", "B-FAC I-FAC I-ORG"])
def test_spans_of_types_that_training_lacks_are_counted_as_seqeval_does(gold):
    gold_tags = gold.split()
    tags = ("O", "B-ORG", "I-ORG")
    predicted = ["B-ORG", "O", "B-ORG"]
    words = Lexicon({"a": 1}, {})
    model = Tagger(Elman(2, 2), words, tags)
    encoded = EncodedSentences([Sentence(("a", "a", "a"), tuple(gold_tags))], words, tags)
    row = encoded.batch(BatchShare([0], 1, 3), 1)
    model.decoder.predict = lambda states, lengths, units, *others: Decoded(
        [predicted], [[0.0, 0.0]], list(others)
    )
    model.validation_step(row, 0)
    found = model.scores.compute()
    assert found["recall"].item() == recall_score([gold_tags], [predicted])
    assert found["precision"].item() == precision_score([gold_tags], [predicted])
