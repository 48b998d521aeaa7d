from pathlib import Path

import pytest

from datamodules.batching.folds import SentenceFolds
from datamodules.batching.sentences import Sentence, TaggedCorpus, TaggedSource
from pipeline.errors import InputError


class Numbered(TaggedSource):
    """Sentences that are all different."""

    name = "numbered"

    def __init__(self, train=20, valid=5, test=4):
        self.sizes = {"train": train, "valid": valid, "test": test}

    def read(self):
        splits = {
            split: [Sentence((f"{split}{i}",), ("O",)) for i in range(size)]
            for split, size in self.sizes.items()
        }
        return TaggedCorpus(splits, dict.fromkeys(splits, Path("file")), (), "IOB2")


def words(sentences):
    return [sentence.tokens[0] for sentence in sentences]


def test_each_sentence_is_tested_once_and_the_own_test_split_never():
    source = Numbered()
    own = source.read().splits
    expected = sorted(words(own["train"]) + words(own["valid"]))
    corpora = [SentenceFolds(source, num_folds=4, fold=fold).read() for fold in range(4)]
    assert sorted(word for c in corpora for word in words(c.splits["test"])) == expected
    assert sorted(word for c in corpora for word in words(c.splits["valid"])) == expected
    for corpus in corpora:
        assert sorted(word for part in corpus.splits.values() for word in words(part)) == expected
        assert len(corpus.splits["test"]) in (6, 7)  # 25 sentences in 4 folds


def test_the_seed_decides():
    first, again, other = (
        words(SentenceFolds(Numbered(), 5, 0, seed).read().splits["test"]) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_folds": 2}, "at least 3 are needed"),
        ({"num_folds": 5, "fold": 5}, "with 5 folds, 0 to 4 is expected"),
        ({"num_folds": 30}, "25 training and validation rows, fewer than 30 folds"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        SentenceFolds(Numbered(), **settings).read()
