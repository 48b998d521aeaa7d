import pytest
import torch

from pipeline.inputs import Affixes, Capitalisation
from pipeline.text.lexicon import Lexicon


def test_words_written_alike_share_a_vector():
    part = Capitalisation(4)
    groups = [
        ["word", "don't", "é"],
        ["Word", "I", "O'neil"],
        ["UN", "U.S."],
        ["McDonald", "iPod"],
        ["1999", "1,000.5", "10-12"],
        ["B2B", "1990s"],
        [".", "--", "$"],
    ]
    numbers = [part.index(group).flatten().tolist() for group in groups]
    assert all(len(set(row)) == 1 for row in numbers)
    assert len({row[0] for row in numbers}) == len(groups)
    assert torch.equal(part(part.index(["Word"])), part(part.index(["Other"])))


@pytest.mark.parametrize(
    ("side", "same", "other"), [("suffix", "SINGing", "inged"), ("prefix", "ruNS", "urun")]
)
def test_affixes(side, same, other):
    part = Affixes(length=3, size=2, side=side, min_count=4)
    part.fit(Lexicon({"running": 3, "ringing": 1, "runs": 1, "rare": 3, "unseen": 0}, {}))
    known = part.index(["running"])
    assert known.item() > 0
    assert torch.equal(part.index([same]), known)
    assert part.index([other, "rare", "x", ""]).flatten().tolist() == [0, 0, 0, 0]


def test_a_count_of_zero_would_read_the_test_split():
    with pytest.raises(ValueError, match="min_count of Affixes must be at least 1, got 0"):
        Affixes(min_count=0)
