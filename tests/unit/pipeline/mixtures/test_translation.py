"""Models over another vocabulary: the probabilities of each word, by hand."""

import math

import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.mixtures import TranslatedModel
from pipeline.text.vocabulary import Vocabulary
from tests.examples import SIX_WORDS, language_model

OTHER = Vocabulary(["b", "<unk>", "zebra", "<eos>", "d", "lion"])


def by_hand(distribution: dict[str, float]) -> dict[str, float]:
    """`zebra`, `lion` and `<unk>` share p(<unk>); `<unk>` has p(a) and p(c) in addition."""
    share = distribution["<unk>"] / 3
    found = {word: distribution.get(word, share) for word in OTHER.words}
    return {**found, "<unk>": share + distribution["a"] + distribution["c"]}


def test_each_word_by_hand():
    model = language_model().model
    translated = TranslatedModel(model, OTHER)
    text = ["<eos>", "b", "zebra", "<unk>", "d", "lion", "lion"]
    states, _ = translated(torch.tensor([OTHER.encode(text)]), None)
    own_text = [word if word in SIX_WORDS else "<unk>" for word in text]
    own_states, _ = model(torch.tensor([Vocabulary(SIX_WORDS).encode(own_text)]))
    torch.testing.assert_close(states, own_states)
    own = model.head.log_distribution(own_states)[0].exp().tolist()
    found = translated.head.log_distribution(states)[0]
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(len(text)).double())
    for place, row in enumerate(own):
        expected = by_hand(dict(zip(SIX_WORDS, row, strict=True)))
        for word, prob in expected.items():
            assert found[place, OTHER.encode([word])[0]].exp().item() == pytest.approx(
                prob, rel=1e-5
            )
    for word in range(len(OTHER)):
        targets = torch.full((1, len(text)), word)
        targets[0, 2] = IGNORE_INDEX
        scored = translated.head.log_probs(states, targets)[0]
        kept = targets[0] != IGNORE_INDEX
        torch.testing.assert_close(scored[kept], found[kept, word], rtol=1e-5, atol=1e-6)
        assert scored[2] == 0
    assert translated.note == (
        "2 words of it count as <unk>, and 2 words of the corpus are unknown to it"
    )


def test_the_order_of_words_is_irrelevant():
    model = language_model().model
    words = Vocabulary(SIX_WORDS[::-1])
    translated = TranslatedModel(model, words)
    tokens = torch.tensor([[0, 3, 5, 5]])  # of the vocabulary of the model
    states, _ = translated(5 - tokens, None)
    expected = model.head.log_probs(model(tokens)[0], tokens).double()
    torch.testing.assert_close(translated.head.log_probs(states, 5 - tokens), expected)
    assert translated.note == ""


def test_a_word_of_probability_0_stays_impossible():
    model = language_model().model
    model.head.bias.data[SIX_WORDS.index("<unk>")] = -math.inf
    translated = TranslatedModel(model, OTHER)
    states, _ = translated(torch.tensor([[3]]), None)
    zebra = torch.tensor([OTHER.encode(["zebra"])])
    assert translated.head.log_probs(states, zebra).item() == -math.inf
    assert translated.head.log_probs(states, torch.tensor([[1]])).item() > -math.inf
