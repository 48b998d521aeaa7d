"""Scores of labels against scikit-learn and the formulas retyped."""

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from pipeline.metrics import LabelScores
from pipeline.metrics.labels import score_names
from pipeline.tracking.logger import _checked

NAMES = ("bad", "fair", "good")


def sample(count=500, seed=1):
    generator = torch.Generator().manual_seed(seed)
    gold = torch.randint(3, (count,), generator=generator)
    logits = torch.randn(count, 3, generator=generator)
    logits[torch.arange(count), gold] += 0.8
    return gold, logits.softmax(-1)


def scores(*batches, ordinal=True):
    metric = LabelScores(NAMES, is_ordinal=ordinal)
    for gold, probabilities in batches:
        metric.update(gold, probabilities)
    return metric, {name: float(value) for name, value in metric.compute().items()}


def test_against_scikit_learn():
    gold, probabilities = sample()
    metric, found = scores((gold, probabilities))
    predicted = probabilities.argmax(-1)
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, predicted), rel=1e-12)
    assert found["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro"))
    for name, value in zip(NAMES, f1_score(gold, predicted, average=None), strict=True):
        assert found[f"f1_{name}"] == pytest.approx(value)
    assert metric.confusion[:3].tolist() == confusion_matrix(gold, predicted).tolist()
    assert found["distance"] == pytest.approx(float((gold - predicted).abs().double().mean()))
    assert found["texts"] == 500


def test_the_calibration_error_is_the_formula():
    gold, probabilities = sample()
    _, found = scores((gold, probabilities))
    confidence, predicted = probabilities.double().max(-1)
    total = 0.0
    for low in range(10):
        inside = [
            i for i, c in enumerate(confidence.tolist()) if low <= min(int(c * 10), 9) < low + 1
        ]
        if inside:
            right = sum(int(gold[i] == predicted[i]) for i in inside) / len(inside)
            sure = sum(float(confidence[i]) for i in inside) / len(inside)
            total += len(inside) / 500 * abs(right - sure)
    assert found["calibration_error"] == pytest.approx(total, rel=1e-9)


def test_a_bin_counts_the_difference_of_its_means():
    """Two bins whose errors would cancel: 0.95 sure and wrong, 0.45 sure and right."""
    probabilities = torch.tensor([[0.95, 0.05, 0.0], [0.45, 0.3, 0.25]])
    metric, found = scores((torch.tensor([1, 0]), probabilities))
    assert found["calibration_error"] == pytest.approx((0.95 + 0.55) / 2)
    assert metric.bins[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    metric.update(torch.tensor([2]), torch.tensor([[0.0, 0.0, 1.0]]))  # certainty: the last bin
    metric.update(torch.tensor([2]), torch.tensor([[0.1, 0.05, 0.85]]))
    assert metric.bins[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 1, 2]


def test_the_distance_leaves_out_texts_whose_label_is_unknown():
    probabilities = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    _, found = scores((torch.tensor([2, 1, -1]), probabilities))
    assert found["distance"] == (2 + 0) / 2


def test_a_single_text():
    metric = LabelScores(NAMES)
    metric.update(torch.tensor([0]), torch.tensor([[0.25, 0.75, 0.0]]))
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found["calibration_error"] == 0.75
    assert "distance" not in found  # unless the labels have an order
    _, found = scores((torch.tensor([0]), torch.tensor([[0.25, 0.75, 0.0]])))
    assert found["distance"] == 1


def test_batches_add_up():
    gold, probabilities = sample()
    _, whole = scores((gold, probabilities))
    parts = [(gold[i : i + 7], probabilities[i : i + 7]) for i in range(0, 500, 7)]
    assert scores(*parts)[1] == pytest.approx(whole, rel=1e-12)


def test_a_label_that_training_lacks_is_missed():
    gold, probabilities = torch.tensor([0, -3, -3]), torch.tensor([[0.9, 0.1, 0.0]] * 3)
    _, found = scores((gold, probabilities), ordinal=False)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["f1_bad"] == pytest.approx(2 / 4)  # one right, three predicted, one gold
    assert found["macro_f1"] == pytest.approx(0.5 / 2)  # the missing label has an F1 of 0
    assert "distance" not in found


def test_nothing_was_scored():
    _, found = scores()
    assert found["accuracy"] == found["macro_f1"] == found["texts"] == 0


def test_any_label_has_a_name_that_a_tracker_takes():
    labels = ["neg", "n/a ★!", "n_a_", "5★", "5!", "", "x" * 300, "schön", "n_a_-2"]
    names = score_names(labels)
    spelled = "n_solidus_a_space_black_star_exclamation_mark"
    assert names == ["neg", spelled, "n_a_", "5_black_star", "5_exclamation_mark", "_", "x" * 100,
                     "schön", "n_a_-2"]  # fmt: skip
    assert score_names([":)", ":("]) == ["colon_right_parenthesis", "colon_left_parenthesis"]
    assert score_names(["\x00", "\x01"]) == ["u0000", "u0001"]
    assert score_names(["x" * n for n in (101, 102, 103)]) == [
        "x" * 100, "x" * 100 + "-2", "x" * 100 + "-3",
    ]  # fmt: skip
    assert score_names(["very good"]) == ["very_good"]  # nothing to distinguish it from
    assert score_names(["very good", "very_space_good", "very_good"]) == [
        "very_space_good-2", "very_space_good", "very_good",
    ]  # fmt: skip
    scores = LabelScores(labels, is_ordinal=True)
    scores.update(torch.tensor([0]), torch.eye(len(labels))[:1])
    assert set(scores.compute()) == scores.names
    for name in scores.names:
        _checked(f"val/{name}")
