import itertools
import math

import numpy as np
import pytest
import torch

from pipeline.metrics.items import ItemScores, digest_of
from pipeline.reports import LabelReport, TaggingReport
from pipeline.reports.comparison import paired_test
from pipeline.reports.tokens import BLOCK, blocks

FORMULAS = {
    "f1": lambda rows: 2 * sum(r for r, _, _ in rows) / (sum(p + g for _, p, g in rows) or 1),
    "accuracy": lambda rows: sum(r for r, _ in rows) / sum(t for _, t in rows),
    "perplexity": lambda rows: math.exp(sum(n for n, _ in rows) / sum(t for _, t in rows)),
}


def items(metric, rows):
    return ItemScores(metric, "same", np.array(rows, dtype=float).T)


def rows_of(metric, generator, count, shift=0.0):
    if metric == "perplexity":
        return [(float(generator.gamma(50, 0.1)) + shift, 10) for _ in range(count)]
    if metric == "accuracy":
        return [(int(generator.random() < 0.6 + shift), 1) for _ in range(count)]
    drawn = generator.integers(0, 4, size=(count, 3)).tolist()
    return [(min(a, b, c), b, c) for a, b, c in drawn]


@pytest.mark.parametrize("metric", FORMULAS)
def test_p_value_is_that_of_all_exchanges(metric):
    """Brute force over all exchanges of 8 items with the formula of the score."""
    generator = np.random.default_rng(5)
    one, other = rows_of(metric, generator, 8), rows_of(metric, generator, 8)
    if metric == "f1":  # the gold numbers are the same
        other = [(min(r, g), p, g) for (r, p, _), (_, _, g) in zip(other, one, strict=True)]
    score = FORMULAS[metric]
    observed = abs(score(other) - score(one))
    count = 0
    for flips in itertools.product((False, True), repeat=8):
        pairs = [(b, a) if f else (a, b) for f, a, b in zip(flips, one, other, strict=True)]
        gap = score([b for _, b in pairs]) - score([a for a, _ in pairs])
        count += abs(gap) >= observed - 1e-12
    found = paired_test(items(metric, one), items(metric, other))
    assert found.is_exact
    assert found.p_value == pytest.approx(count / 2**8, abs=1e-12)
    assert (found.one, found.other) == pytest.approx((score(one), score(other)))


def test_p_value_of_signs_is_binomial():
    """12 of 40 texts differ, all in one direction: two of 2 ** 12 exchanges are as extreme."""
    one = [(1, 1)] * 30 + [(0, 1)] * 10
    other = [(0, 1)] * 12 + one[12:]
    found = paired_test(items("accuracy", one), items("accuracy", other))
    assert found.p_value == 2 / 2**12
    assert found.difference == pytest.approx(-12 / 40)


def test_random_exchanges_approach_the_exact_value():
    """With 30 differing texts, 20 to 10, the exact value is that of a sign test."""
    one = [(1, 1)] * 20 + [(0, 1)] * 10 + [(1, 1)] * 20
    other = [(0, 1)] * 20 + [(1, 1)] * 10 + [(1, 1)] * 20
    exact = 2 * sum(math.comb(30, k) for k in range(20, 31)) / 2**30
    found = paired_test(items("accuracy", one), items("accuracy", other))
    assert not found.is_exact
    error = 4 * math.sqrt(exact * (1 - exact) / 10_000)  # four standard errors of the estimate
    assert abs(found.p_value - exact) < error


def test_interval_of_a_mean_is_that_of_the_normal_law():
    generator = np.random.default_rng(3)
    one = (generator.random(1000) < 0.6).astype(float)
    other = (generator.random(1000) < 0.7).astype(float)
    gaps = other - one
    spread = 1.96 * gaps.std(ddof=1) / math.sqrt(1000)
    ones = np.ones(1000)
    found = paired_test(
        ItemScores("accuracy", "", np.stack([one, ones])),
        ItemScores("accuracy", "", np.stack([other, ones])),
    )
    assert (found.low, found.high) == pytest.approx(
        (gaps.mean() - spread, gaps.mean() + spread), abs=0.004
    )


def test_equal_models_do_not_differ():
    rows = rows_of("perplexity", np.random.default_rng(1), 100)
    found = paired_test(items("perplexity", rows), items("perplexity", rows))
    assert (found.difference, found.p_value, found.low, found.high) == (0, 1, 0, 0)


def test_other_items_are_refused():
    one = items("accuracy", [(1, 1)])
    for other in (one._replace(digest="other"), items("accuracy", [(1, 1), (1, 1)])):
        with pytest.raises(ValueError, match="the items of the two tests differ"):
            paired_test(one, other)
    empty = ItemScores("accuracy", "", np.zeros((2, 0)))
    with pytest.raises(ValueError, match="there are no items"):
        paired_test(empty, empty)


def test_items_of_reports():
    """The sums give the scores of the reports; labels without spans have an accuracy."""
    tokens, gold = [["a", "b", "c"], ["d"]], [["B-X", "I-X", "B-Y"], ["O"]]
    found = [["B-X", "I-X", "O"], ["B-X"]]
    tagger = TaggingReport(tokens, gold, found, [[0.5], [0.5]], [1.0] * 2).items()
    assert tagger.values.T.tolist() == [[1, 1, 2], [0, 1, 0]]
    assert tagger.score(tagger.values.sum(axis=1)) == 0.5
    assert (
        TaggingReport(tokens, gold, gold, [[0.5] * 2, []], [1.0] * 2).items().digest
        == tagger.digest
    )
    labels = TaggingReport(
        [["a", "b"]], [["NN", "DT"]], [["NN", "NN"]], [[0.5, 0.5]], [1.0]
    ).items()
    assert (labels.metric, labels.values.T.tolist()) == ("accuracy", [[1, 2]])
    report = LabelReport(tokens, ["p", "n"], [[0.9, 0.1], [0.8, 0.2]], ["p", "n"])
    assert report.items().values.T.tolist() == [[1, 1], [0, 1]]


def test_blocks_of_tokens():
    nll = torch.arange(2 * BLOCK + 7, dtype=torch.float64)
    found = blocks(nll, torch.arange(2 * BLOCK + 7))
    assert found.values[1].tolist() == [BLOCK, BLOCK, 7]
    assert found.values[0].tolist() == [float(part.sum()) for part in nll.split(BLOCK)]
    assert found.digest != blocks(nll, torch.arange(1, 2 * BLOCK + 8)).digest


def test_file():
    written = items("perplexity", [(123.45678, 50), (7.0, 3)])
    read = ItemScores.from_json(written.to_json())
    assert read.values.tolist() == [[123.4568, 7], [50, 3]]
    assert (read.metric, read.digest) == ("perplexity", "same")
    for text in ("", "[]", '{"metric": "f2"}', '{"metric": "accuracy", "right": [1]}',
                 '{"metric": "accuracy", "right": [1], "total": ["a"]}',
                 '{"metric": "accuracy", "right": [NaN], "total": [1]}'):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            ItemScores.from_json(text)
    assert digest_of(["ab", "c"]) != digest_of(["a", "bc"])
