"""Scores of items: their formulas, and their file."""

import hashlib
import json
import math

import numpy as np
import pytest

from pipeline.metrics.items import ItemScores, digest_of

VALUES = {
    "f1": [[1, 2, 0], [2, 2, 1], [1, 3, 0]],
    "accuracy": [[1, 0, 3], [1, 2, 4]],
    "perplexity": [[0.5, 2.25, 1.0], [1, 3, 2]],
}


def items(metric, rows=None):
    return ItemScores(metric, "0123", np.array(rows or VALUES[metric], dtype=np.float64))


@pytest.mark.parametrize(
    ("metric", "score"),
    [("f1", 2 * 3 / (5 + 4)), ("accuracy", 4 / 7), ("perplexity", math.exp(3.75 / 6))],
)
def test_a_score_is_computed_from_sums(metric, score):
    found = items(metric)
    assert found.score(found.values.sum(axis=1)) == pytest.approx(score, rel=1e-15)
    both = found.score(np.stack([found.values.sum(axis=1), found.values[:, 0]], axis=1))
    first = {"f1": 2 / 3, "accuracy": 1, "perplexity": math.exp(0.5)}[metric]
    assert (both.shape, both.dtype) == ((2,), np.float64)
    assert both.tolist() == pytest.approx([score, first], rel=1e-15)


@pytest.mark.parametrize(("metric", "score"), [("f1", 0), ("accuracy", 0), ("perplexity", 1)])
def test_nothing_to_score(metric, score):
    assert items(metric).score(np.zeros(len(VALUES[metric]))) == score


def test_a_lone_item():
    assert items("f1").score(np.array([0.0, 1.0, 0.0])) == 0
    assert items("accuracy").score(np.array([1.0, 1.0])) == 1
    assert items("perplexity").score(np.array([2.0, 1.0])) == pytest.approx(math.exp(2))


def test_the_file_has_a_list_per_number():
    text = items("perplexity", [[0.123456, 2.0], [1, 3]]).to_json()
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "metric": "perplexity", "digest": "0123", "nll": [0.1235, 2], "tokens": [1, 3],
    }  # fmt: skip
    assert "2.0" not in text


@pytest.mark.parametrize("metric", VALUES)
def test_a_file_is_read_as_it_was_written(metric):
    written = items(metric)
    read = ItemScores.from_json(written.to_json())
    assert (read.metric, read.digest) == (metric, "0123")
    assert read.values.dtype == np.float64
    np.testing.assert_array_equal(read.values, written.values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected scores per item"),
        ('{"metric": "bleu", "right": [1], "total": [1]}', "expected scores per item"),
        ('{"metric": "accuracy", "right": 1, "total": 1}', "expected equally long lists"),
        ('{"metric": "accuracy", "right": [[1]], "total": [[1]]}', "expected equally long lists"),
        ('{"metric": "accuracy", "right": [NaN], "total": [1]}', "expected equally long lists"),
    ],
)
def test_another_file_is_refused(text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        ItemScores.from_json(text)


def test_the_digest_is_of_lengths_and_texts():
    parts = (1).to_bytes(8, "big") + b"a" + (2).to_bytes(8, "big") + "é".encode()
    assert digest_of(["a", "é"]) == hashlib.sha256(parts).hexdigest()[:16]
    assert digest_of(["\ud800"]) != digest_of(["\ud801"])  # surrogates of damaged UTF-8
