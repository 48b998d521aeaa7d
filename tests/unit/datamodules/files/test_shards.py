"""Splits that consist of several files."""

import hashlib
import re

import pytest

from datamodules.files.paths import find_files, find_tagged_files
from datamodules.files.shards import shards
from datamodules.language_model.corpus import TextSettings, open_corpus
from datamodules.language_model.datamodule import LanguageModelData
from pipeline.errors import InputError
from tests.examples import refuses
from tests.unit.datamodules.shards import HELD_OUT, TRAIN, write_shards

FILES = {
    "train": f"{TRAIN}/news.en-*",
    "valid": f"{HELD_OUT}/news.en.heldout-0000[12]-of-00050",
    "test": f"{HELD_OUT}/news.en.heldout-00000-of-00050",
}


@pytest.fixture
def folder(tmp_path):
    return write_shards(tmp_path / "billion")


def test_shards_are_one_text(folder, write_corpus):
    """Ids, vocabulary and counts equal those of one file with the same text."""
    parts = {split: shards(path) for split, path in find_files(folder, FILES).items()}
    assert [len(files) for files in parts.values()] == [3, 2, 1]
    whole = write_corpus(*("".join(f.read_text() for f in files) for files in parts.values()))
    many = open_corpus(find_files(folder, FILES), TextSettings(min_count=3))
    one = open_corpus(find_files(whole), TextSettings(min_count=3))
    assert many.vocabulary == one.vocabulary
    assert many.vocabulary.counts == one.vocabulary.counts
    for split in FILES:
        assert (many.ids[split] == one.ids[split]).all()
        counts = [(c.statistics[split].lines, c.statistics[split].unknown) for c in (many, one)]
        assert counts[0] == counts[1]
    assert many.statistics["train"].path == folder / FILES["train"]


def test_one_digest_for_all(folder):
    """The digest is the sha256 of the shards' sums; it depends on their contents and order."""
    data = LanguageModelData(str(folder), files=FILES, batch_size=2)
    sums = [hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted((folder / TRAIN).iterdir())]
    train, _, test = data.describe()
    assert train.sha256 == hashlib.sha256("".join(f"{s}\n" for s in sums).encode()).hexdigest()
    assert test.sha256 == hashlib.sha256(test.path.read_bytes()).hexdigest()
    first, second, _ = shards(folder / FILES["train"])
    texts = first.read_bytes(), second.read_bytes()
    second.write_bytes(texts[0])
    first.write_bytes(texts[1])
    again = LanguageModelData(str(folder), files=FILES, batch_size=2)
    assert again.describe()[0].sha256 != train.sha256
    assert again._corpus.ids["train"].tolist() != data._corpus.ids["train"].tolist()


def test_a_line_end_that_is_missing_at_the_end_of_a_shard(tmp_path, write_corpus):
    folder = write_corpus("a b\nc", "d\n", "e\n")
    (folder / "train2.txt").write_text("b a\n")
    corpus = open_corpus(find_files(folder, {"train": "train*.txt"}), TextSettings())
    words = corpus.vocabulary.decode(corpus.ids["train"].tolist())
    assert words == ["a", "b", "<eos>", "c", "<eos>", "b", "a", "<eos>"]


def test_patterns_that_match_nothing_or_are_names(folder, write_corpus):
    with refuses(
        f"--data.files.train: no file matches {folder}/training*/new.en-*; expected the train text"
    ):
        find_files(folder, FILES | {"train": "training*/new.en-*"})
    with refuses(
        f"--data.source.files.test: no file matches {folder}/x*; expected the test sentences"
    ):
        find_tagged_files(folder, {"test": "x*"})
    other = write_corpus(name="[a]")  # brackets in the name of the folder itself
    (other / "train[1].txt").write_text("x y\n")
    found = find_files(other, {"train": "train[1].txt"})
    assert shards(found["train"]) == [other / "train[1].txt"]
    assert shards(found["test"]) == [other / "test.txt"]
    assert shards(find_files(other, {"train": "train?1].txt"})["train"]) == [other / "train[1].txt"]


def test_what_is_wrong_in_a_shard_names_it(folder):
    second = shards(folder / FILES["train"])[1]
    second.write_bytes(b"a b\nc \xff\n")
    with pytest.raises(InputError, match=rf"^{re.escape(str(second))} is not UTF-8: byte 6 "):
        open_corpus(find_files(folder, FILES), TextSettings())
