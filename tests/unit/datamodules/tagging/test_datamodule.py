"""Checkpoint states are accepted by the same corpus and settings only."""

import shutil

import pytest

from datamodules.tagging.columns import Columns
from datamodules.tagging.datamodule import TaggingData
from pipeline.errors import InputError


def data(folder, **settings):
    return TaggingData(Columns(str(folder), features={"pos": 1}), **settings)


@pytest.fixture
def other(opinions, tmp_path):
    return shutil.copytree(opinions, tmp_path / "other")


def test_the_same_corpus_goes_on(opinions, other):
    data(other).load_state_dict(data(opinions).state_dict())


def test_another_column_is_refused(opinions, other):
    """Words, tags and values are the same, but the values have other frequencies."""
    for path in other.iterdir():
        text = path.read_text()
        swapped = text.replace("\tNN\t", "\t?\t").replace("\tDT\t", "\tNN\t")
        path.write_text(swapped.replace("\t?\t", "\tDT\t"))
    with pytest.raises(InputError, match="their columns differ"):
        data(other).load_state_dict(data(opinions).state_dict())


def test_vectors_of_other_words_are_refused(opinions, tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    for name, words in (("a", ("the", "plan")), ("b", ("the", "vote")), ("c", ("the", "plan"))):
        (tmp_path / f"{name}.txt").write_text("".join(f"{word} 1 2\n" for word in words))
    state = data(opinions, vectors=str(tmp_path / "a.txt")).state_dict()
    data(opinions, vectors=str(tmp_path / "c.txt")).load_state_dict(state)
    for vectors in (str(tmp_path / "b.txt"), None):
        with pytest.raises(InputError, match="their vectors differ"):
            data(opinions, vectors=vectors).load_state_dict(state)


def test_within_an_epoch_the_order_must_be_the_same(opinions):
    state = {**data(opinions).state_dict(), "position": 3}
    data(opinions).load_state_dict(state)
    changes = ("seed", 2, "1"), ("batch_size", 8, "32"), ("batch_unit", "tokens", "sentences")
    for name, value, saved in changes:
        module = data(opinions, **{name: value})
        module.load_state_dict(state)
        message = rf"in the middle of an epoch with {name}={saved} \(now {value}\); "
        with pytest.raises(InputError, match=message):
            module.train_dataloader()
        module.load_state_dict({**state, "position": 0})
        module.train_dataloader()
