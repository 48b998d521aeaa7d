import random
from collections import Counter

import pytest

from pipeline.text.vocabulary import EOS, UNK, Vocabulary


def test_ids_fall_with_frequency_and_ties_go_to_the_first():
    counts = {"b": 2, EOS: 3, "a": 2, "c": 5, UNK: 2}
    assert Vocabulary.from_counts(counts).words == ["c", EOS, "b", "a", UNK]


def test_unk_is_taken_from_the_text_else_added_last():
    assert Vocabulary.from_counts({UNK: 9, "a": 1, EOS: 1}).words == [UNK, "a", EOS]
    assert Vocabulary.from_counts({"a": 1, EOS: 1}).words == ["a", EOS, UNK]


def test_dropped_words_count_as_unk():
    counts = {"a": 5, "b": 2, "c": 2, "d": 1, EOS: 4}
    assert Vocabulary.from_counts(counts, min_count=2).words == ["a", EOS, "b", "c", UNK]
    assert Vocabulary.from_counts(counts, min_count=3).words == ["a", UNK, EOS]  # <unk> 5, after a
    assert Vocabulary.from_counts(counts, max_size=4).words == ["a", EOS, UNK, "b"]  # <unk> 3


def test_limits_and_frequencies_by_brute_force():
    rng = random.Random(0)
    for _ in range(200):
        text = rng.choices("abcdefgh", k=rng.randint(1, 40)) + [EOS] * 3 + [UNK] * rng.randint(0, 2)
        rng.shuffle(text)
        max_size, min_count = rng.choice([None, 2, 3, 6, 10]), rng.randint(1, 4)
        vocabulary = Vocabulary.from_counts(Counter(text), max_size, min_count)
        assert max_size is None or len(vocabulary) <= max_size
        counts = Counter(text)
        kept = [word for word in vocabulary.words if word not in (EOS, UNK)]
        left = [word for word in counts if word not in vocabulary]
        assert all(counts[word] >= min_count for word in kept)
        assert not left or not kept or max(map(counts.get, left)) <= min(map(counts.get, kept))
        ids = Counter(vocabulary.encode(text))
        frequencies = [ids[index] for index in range(len(vocabulary))]
        assert frequencies == sorted(frequencies, reverse=True)
        if max_size is None:
            assert set(left) == {w for w in counts if counts[w] < min_count} - {EOS, UNK}


def test_encode_and_decode():
    vocabulary = Vocabulary(["a", EOS, UNK, "b"])
    assert vocabulary.encode(["b", "x", EOS, "a"]) == [3, 2, 1, 0]
    assert vocabulary.decode([3, 2, 1, 0]) == ["b", UNK, EOS, "a"]
    assert vocabulary.unknown(["x", "a", "y", "x"]) == ["x", "y"]
    assert ("a" in vocabulary, "x" in vocabulary, len(vocabulary)) == (True, False, 4)
    assert vocabulary == Vocabulary(vocabulary.words)
    assert vocabulary != Vocabulary(["b", EOS, UNK, "a"])


def test_wrong_words_are_refused():
    with pytest.raises(ValueError, match=r"must be distinct, got 'a' twice$"):
        Vocabulary(["a", EOS, "a", UNK])
    with pytest.raises(ValueError, match=r"must contain <unk>, got 2 words without it$"):
        Vocabulary(["a", EOS])
    with pytest.raises(ValueError, match=r"^max_size must be at least 2, .* got 1$"):
        Vocabulary.from_counts({"a": 1}, max_size=1)
    with pytest.raises(ValueError, match=r"^ids must be from 0 to 1, got -1$"):
        Vocabulary([EOS, UNK]).decode([-1])
