import numpy as np
import pytest

from pipeline.text.vectors import load_vectors
from tests.unit.pipeline.text.test_vector_formats import (
    BROKEN,
    as_binary,
    as_text,
    naive_binary,
    refused,
    write,
)


def test_the_closest_spelling_wins_wherever_it_stands(tmp_path):
    words = ["#", "us", "US", "####", "(", "his/her", "the", "##th"]
    path = write(tmp_path, as_text([(word, [i, 0.5]) for i, word in enumerate(words)]))
    expected = {
        "US": ("exact", 2),
        "Us": ("lower", 1),
        "us": ("exact", 1),
        "The": ("lower", 6),
        "-LRB-": ("escape", 4),
        "-lrb-": ("escape", 4),
        "His\\/Her": ("escape", 5),
        "1999": ("digits", 3),
        "19TH": ("digits", 7),
    }
    words = [*expected, "THESE", "5", "Th"]
    loaded = load_vectors(path, words)
    assert loaded.vectors.words == tuple(expected)
    found = zip(loaded.matches, loaded.vectors.values[:, 0].tolist(), strict=True)
    assert list(found) == list(expected.values())


def test_a_lower_cased_word_finds_no_capitalised_one(tmp_path):
    path = write(tmp_path, as_text([("US", [1.0, 2.0]), ("it", [1.0, 2.0])]))
    assert load_vectors(path, ["us", "it"]).vectors.words == ("it",)


@pytest.mark.parametrize("number", [b"nan", b"inf", b"1e39"])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number):
    said = refused(tmp_path, BROKEN.replace(b"0.8", number))
    assert "vector of 'in'" in said
    load_vectors(tmp_path / "vectors", ["the"])


def test_a_file_without_any_word_of_the_corpus_is_refused(tmp_path):
    for data in (BROKEN, as_binary([("the", [0.1, 0.2]), ("of", [0.3, 0.4])])):
        said = refused(tmp_path, data, words=["der", "die"])
        assert "any of the 2 words of the corpus (der, die" in said


def test_real_vectors(real_data):
    path = real_data / "vectors" / "minilm-300.bin"
    every = naive_binary(path)
    assert len(every) == 57_585
    words = [*list(every)[::500], "The", "U.S.", "-LRB-", "qqqq", "qqqq17"]
    loaded = load_vectors(path, words, size=300)
    assert loaded.vectors.words == tuple(words[:-2])
    assert loaded.matches[-3:] == ("lower", "lower", "lower")
    expected = np.stack([every[word.lower()] for word in words[:-2]])
    np.testing.assert_array_equal(loaded.vectors.values, expected)
    assert abs(expected.std() - 0.2) < 0.01
