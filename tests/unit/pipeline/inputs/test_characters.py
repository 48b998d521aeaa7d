"""A word's vector is its own: neither its company nor how wide the table is can be seen."""

import pytest
import torch

from pipeline.inputs import CharacterCNN, CharacterLSTM
from pipeline.text.lexicon import Lexicon

WORDS = ["a", "word", "is", "characters", "Ω", "antidisestablishmentarianism"]
LEXICON = Lexicon({"a": 4, "word": 3, "is": 2, "characters": 1, "unseenQ": 0}, {})


def make(kind, **settings):
    torch.manual_seed(3)
    part = kind(size=6, char_size=5, dropout=0.0, **settings)
    part.fit(LEXICON)
    return part.double()


@pytest.mark.parametrize("kind", [CharacterCNN, CharacterLSTM])
def test_alone_and_in_company(kind):
    part = make(kind)
    together = part(part.index(WORDS))
    for row, word in enumerate(WORDS):
        torch.testing.assert_close(part(part.index([word]))[0], together[row])
    grid = part(part.index(WORDS).view(2, 3, -1))
    torch.testing.assert_close(grid.flatten(0, 1), together)


def test_convolutions_by_hand():
    part = make(CharacterCNN)
    weight, bias = part.filters.weight, part.filters.bias  # [filter char_size width]
    for word in ("word", "a"):
        vectors = part.table(part.index([word])[0])
        padded = torch.cat([torch.zeros(1, 5), vectors, torch.zeros(1, 5)]).double()
        found = [
            torch.stack([(weight[f] * padded[t : t + 3].T).sum() + bias[f] for f in range(6)])
            for t in range(len(word))
        ]
        expected = torch.stack(found).amax(dim=0)
        torch.testing.assert_close(part(part.index([word]))[0], expected)


def test_the_last_states_of_both_directions():
    part = make(CharacterLSTM)
    oracle = torch.nn.LSTM(5, 3, bidirectional=True, batch_first=True).double()
    layer = part.encoder.layers.layers[0]
    for direction, suffix in ((layer.left_to_right, ""), (layer.right_to_left, "_reverse")):
        for name, value in direction.kernel.named_parameters():
            getattr(oracle, name + suffix).data.copy_(value)
    for word in WORDS[:4]:
        _, (final, _) = oracle(part.table(part.index([word])))
        torch.testing.assert_close(part(part.index([word]))[0], final.flatten())


@pytest.mark.parametrize("kind", [CharacterCNN, CharacterLSTM])
def test_long_words_are_read_from_both_ends(kind):
    part = make(kind, max_length=7)
    assert torch.equal(part.index(["abcdefghijkl"]), part.index(["abcdjkl"]))


@pytest.mark.parametrize("kind", [CharacterCNN, CharacterLSTM])
def test_no_characters_and_characters_that_training_lacks(kind):
    part = make(kind)
    found = part(part.index(["", "w"]))
    assert not found[0].any()
    assert torch.isfinite(found).all()
    assert part.index(["Q"]).item() == part.index(["Ω"]).item() == 1


@pytest.mark.parametrize(
    ("kind", "settings"), [(CharacterCNN, {"width": 2}), (CharacterLSTM, {"size": 5})]
)
def test_impossible_settings(kind, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        kind(**settings)


def test_of_a_long_word_both_ends_are_read():
    part = CharacterCNN(max_length=9)
    part.fit(LEXICON)
    for length, expected in ((1, "w"), (2, "wd"), (3, "wod"), (4, "word"), (5, "word")):
        part.max_length = length
        (cut,) = part.index(["word"]).tolist()
        assert cut == [part._ids[character] for character in expected]
