import os
from collections import Counter

import numpy as np
import pytest

import datamodules.files.vectors
from datamodules.files.vectors import Coverage, corpus_vectors
from pipeline.errors import InputError

TEXT = "the 0.5 0.25\nof 1.5 2.5\n( 3.5 4.5\n## 5.5 6.5\n"
COUNTS = {"the": 50, "The": 20, "-LRB-": 15, "cat": 10, "17": 5, "of": 0, "dog": 0}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of vectors, with one file."""
    monkeypatch.setenv("UNROLL_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / "vectors"
    folder.mkdir(parents=True)
    (folder / "tiny.txt").write_text(TEXT)
    return folder


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, not taken from the cache."""
    paths, load = [], datamodules.files.vectors.load_vectors

    def watched(path, words):
        paths.append(path.name)
        return load(path, words)

    monkeypatch.setattr(datamodules.files.vectors, "load_vectors", watched)
    return paths


def test_coverage_counts_words_and_training_tokens(folder):
    vectors, coverage = corpus_vectors("tiny.txt", COUNTS)
    assert vectors.name == "tiny.txt"
    assert vectors.words == ("the", "The", "-LRB-", "17", "of")
    assert vectors.values[:, 0].tolist() == [0.5, 0.5, 3.5, 5.5, 1.5]
    found = {"exact": 2, "lower": 1, "escape": 1, "digits": 1}
    assert coverage == Coverage(words=7, matched=found, tokens=100, covered_tokens=90)
    assert str(coverage) == (
        "5 of 7 words (71.4%: 2 exact, 1 lowercased, 1 unescaped, 1 digits as #), "
        "90.0% of the training tokens"
    )


def test_a_file_is_read_once(folder, reads):
    first = corpus_vectors("tiny.txt", COUNTS)
    again = corpus_vectors("tiny.txt", COUNTS)
    assert reads == ["tiny.txt"]
    assert isinstance(again.vectors.values, np.memmap)
    assert again.vectors.words == first.vectors.words
    np.testing.assert_array_equal(again.vectors.values, first.vectors.values)
    assert again.coverage == first.coverage


def test_counts_do_not_change_what_is_cached(folder, reads):
    corpus_vectors("tiny.txt", COUNTS)
    coverage = corpus_vectors("tiny.txt", dict.fromkeys(COUNTS, 1)).coverage
    assert reads == ["tiny.txt"]
    assert (coverage.tokens, coverage.covered_tokens) == (7, 5)


def test_other_words_are_read_anew(folder, reads):
    corpus_vectors("tiny.txt", COUNTS)
    assert corpus_vectors("tiny.txt", {"of": 1}).vectors.words == ("of",)
    turned = dict(reversed(COUNTS.items()))
    vectors = corpus_vectors("tiny.txt", turned).vectors
    assert vectors.words == ("of", "17", "-LRB-", "The", "the")
    assert vectors.values[0].tolist() == [1.5, 2.5]
    assert len(reads) == 3


@pytest.mark.parametrize("change", ["text", "time"])
def test_a_changed_file_is_read_anew(folder, reads, change):
    corpus_vectors("tiny.txt", COUNTS)
    path = folder / "tiny.txt"
    status = path.stat()
    path.write_text(TEXT.replace("0.25", "0.125" if change == "text" else "0.75"))
    later = 0 if change == "text" else 1
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + later))
    values = corpus_vectors("tiny.txt", COUNTS).vectors.values
    assert values[0, 1] == (0.125 if change == "text" else 0.75)
    assert len(reads) == 2


def test_files_of_one_name_are_kept_apart(folder, tmp_path):
    other = tmp_path / "tiny.txt"
    other.write_text(TEXT.replace("0.25", "0.75"))
    status = (folder / "tiny.txt").stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert corpus_vectors("tiny.txt", COUNTS).vectors.values[0, 1] == 0.25
    assert corpus_vectors(str(other), COUNTS).vectors.values[0, 1] == 0.75


def test_a_mistake_is_not_cached(folder, cache):
    (folder / "tiny.txt").write_text(TEXT.replace("2.5", "two"))
    for _ in range(2):
        with pytest.raises(InputError, match=r"line 2 of .*'two' is not a number"):
            corpus_vectors("tiny.txt", COUNTS)
    assert list(cache.iterdir()) == []


def test_a_damaged_entry_is_built_again(folder, cache, reads):
    corpus_vectors("tiny.txt", COUNTS)
    next(cache.glob("*/values.npy")).write_bytes(b"torn")
    assert corpus_vectors("tiny.txt", COUNTS).vectors.values[0].tolist() == [0.5, 0.25]
    assert len(reads) == 2


def test_data_is_the_folder_where_none_is_set(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("UNROLL_DATA")
    monkeypatch.chdir(tmp_path)
    assert len(corpus_vectors("tiny.txt", COUNTS).vectors.words) == 5


def test_a_missing_file_is_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"no vectors 'tinny.txt'.*did you mean tiny.txt\?"):
        corpus_vectors("tinny.txt", COUNTS)
    with pytest.raises(InputError, match=f"no vectors '{folder}'.*files in {folder}: tiny.txt"):
        corpus_vectors(str(folder), COUNTS)
    monkeypatch.setenv("UNROLL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"files in .*vectors: none \("):
        corpus_vectors("tiny.txt", COUNTS)


def test_real_coverage(real_data):
    text = (real_data / "mpqa" / "dse.txt").read_text(encoding="utf-8")
    counts = Counter(line.split("\t")[0] for line in text.split("\n") if line)
    vectors, coverage = corpus_vectors("minilm-300.bin", counts)
    assert vectors.values.shape == (coverage.covered_words, 300)
    assert coverage.covered_tokens / coverage.tokens > 0.98
