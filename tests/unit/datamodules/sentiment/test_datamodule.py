"""Labels and words of phrases, and which checkpoint states are accepted."""

import pytest

from datamodules.sentiment.datamodule import SentimentData
from datamodules.sentiment.sst import Treebank
from pipeline.errors import InputError

TREES = ["(4 (2 The) (4 (2 film) (3 shines)))", "(0 (2 The) (0 (2 film) (0 stinks)))"]


@pytest.fixture
def trees(tmp_path):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.txt").write_text("\n".join(TREES) + "\n")

    def make(**settings):
        return SentimentData(Treebank(str(tmp_path), labels="fine"), batch_size=4, **settings)

    return make


def test_labels_of_phrases_are_learned_where_phrases_are(trees):
    assert trees().labels.names == ("very negative", "very positive")
    data = trees(phrases="all")
    assert data.labels.names == ("very negative", "neutral", "positive", "very positive")
    assert data.labels.counts == (3, 4, 1, 2)
    labels = [label for batch in data.train_dataloader() for label in batch.labels.tolist()]
    assert [labels.count(label) for label in range(4)] == [3, 4, 1, 2]
    batches = list(data.train_dataloader())
    assert sum(batch.targets_per_rank for batch in batches) == 10
    assert sum(batch.tokens_per_rank for batch in batches) == 16


def test_words_of_phrases_are_learned_where_phrases_are(tmp_path):
    lines = [*TREES, "(2 (0 Dull) (2 this))"]  # neutral: its phrases alone are trained on
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    whole = SentimentData(Treebank(str(tmp_path)), batch_size=4)
    assert whole.lexicon.counts == {"The": 2, "film": 2, "shines": 1, "stinks": 1}
    data = SentimentData(Treebank(str(tmp_path)), batch_size=4, phrases="all")
    assert data.lexicon.counts == {"The": 2, "film": 2, "Dull": 1, "shines": 1, "stinks": 1}
    dull = list(data.lexicon.counts).index("Dull")
    read = [batch.words[:, 0].tolist() for batch in data.train_dataloader()]
    assert sum(row.count(dull) for row in read) == 1


def test_a_checkpoint_goes_with_the_same_labels_alone(trees):
    state = trees(phrases="all").state_dict()
    trees(phrases=1).load_state_dict(state)
    with pytest.raises(
        InputError, match=r"differ \(4 words and the labels very negative, neutral, "
    ):
        trees().load_state_dict(state)


def test_within_an_epoch_the_order_must_be_the_same(trees):
    state = {**trees(phrases="all").state_dict(), "position": 1}
    data = trees(phrases=2)
    data.load_state_dict(state)
    message = r"in the middle of an epoch with phrases=all \(now 2\); "
    with pytest.raises(InputError, match=message):
        data.train_dataloader()


def test_within_an_epoch_the_texts_must_be_the_same(trees, tmp_path):
    state = {**trees(phrases="all").state_dict(), "position": 1}
    (tmp_path / "train.txt").write_text("\n".join(reversed(TREES)) + "\n")
    data = trees(phrases="all")
    data.load_state_dict(state)
    with pytest.raises(InputError, match=r"epoch with training text=\w+ \(now \w+\); resume"):
        data.train_dataloader()
    data.load_state_dict({**state, "position": 0})
    data.train_dataloader()
