import bz2
import gzip
import lzma
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.text.vector_index import VectorIndex
from pipeline.text.vectors import load_vectors
from tests.unit.pipeline.text.test_vector_formats import BROKEN, as_binary, as_text, write

FORMS = {
    "text": as_text,
    "header": lambda table: as_text(table, has_header=True, ending=" \r\n"),
    "binary": as_binary,
    "binary without line ends": lambda table: as_binary(table, ending=b""),
    "gzip": lambda table: gzip.compress(as_text(table)),
    "bzip2": lambda table: bz2.compress(as_text(table)),
    "xz": lambda table: lzma.compress(as_binary([row for row in table if " " not in row[0]])),
}
ASKED = ["the", "The", "THE", "-LRB-", "1999", "new york", "é", "nowhere", "of"]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.sampled_from(["the", "The", "(", "####", "new york", "é", "of", "x"]),
        min_size=1,
        max_size=8,
    )
)
def test_it_finds_what_a_whole_reading_finds(tmp_path_factory, form, words):
    table = [("the", [0.5, -1.0])] + [(word, [0.5, number]) for number, word in enumerate(words)]
    if form.startswith("binary"):
        table = [row for row in table if " " not in row[0]]
    path = write(tmp_path_factory.mktemp("vectors"), FORMS[form](table))
    expected = load_vectors(path, ASKED).vectors
    found = VectorIndex(path).find(ASKED)
    assert {word: row.tolist() for word, row in found.items()} == {
        word: row.tolist() for word, row in zip(expected.words, expected.values, strict=True)
    }


def test_words_with_the_same_hash_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.text.vector_index._hash", lambda word: len(word))
    index = VectorIndex(write(tmp_path, BROKEN))
    assert {word: row[0] for word, row in index.find(["in", "of", "at", "the"]).items()} == {
        "in": np.float32(0.7),
        "of": np.float32(0.4),
        "the": np.float32(0.1),
    }


def test_a_changed_file_is_indexed_again(tmp_path):
    path = write(tmp_path, BROKEN)
    first = VectorIndex(path)
    path.write_bytes(BROKEN.replace(b"0.1", b"0.9"))
    os.utime(path, ns=(1, 1))
    second = VectorIndex(path)
    assert first.file.sha256 != second.file.sha256
    assert second.find(["the"])["the"][0] == np.float32(0.9)


@pytest.mark.parametrize("number", [b"nan", b"zero"])
def test_damaged_numbers_are_refused_when_they_are_wanted(tmp_path, number):
    index = VectorIndex(write(tmp_path, BROKEN.replace(b"0.8", number)))
    assert list(index.find(["the"])) == ["the"]
    with pytest.raises(InputError, match="'in'"):
        index.find(["in"])


def test_real_vectors(real_data):
    path = real_data / "vectors" / "minilm-300.bin"
    words = ["The", "U.S.", "-LRB-", "1999", "qqqq17", "wrote"]
    expected = load_vectors(path, words).vectors
    found = VectorIndex(path).find(words)
    assert list(found) == list(expected.words)
    assert np.array_equal(np.stack(list(found.values())), expected.values)


def test_other_files_are_refused(tmp_path, cache):
    whole = gzip.compress(BROKEN)
    with pytest.raises(InputError, match="is damaged"):
        VectorIndex(write(tmp_path, whole[:-20], "cut.gz"))
    with pytest.raises(InputError, match="is no file"):
        VectorIndex(tmp_path)
    path = write(tmp_path, whole, "whole.gz")
    with pytest.raises(InputError, match="is not the file of word vectors of the training"):
        VectorIndex(path, expected="0" * 64)
    assert not list(cache.glob("index-*"))  # nothing was unpacked
    digest = VectorIndex(path).file.sha256
    assert VectorIndex(path, expected=digest).file.sha256 == digest
    with pytest.raises(InputError, match="is not the file of word vectors of the training"):
        VectorIndex(path, expected="0" * 64)
