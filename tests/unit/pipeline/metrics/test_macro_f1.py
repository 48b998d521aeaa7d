"""Accuracy and macro F1 are those of scikit-learn, for any batches and for two processes."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score
from torchmetrics import Metric

from pipeline.metrics import LabelScores, TokenScores

LABELS = ("bad", "fair", "good")
UNKNOWN = "unknown"  # a gold label that training lacks
pairs = st.lists(
    st.tuples(st.sampled_from((*LABELS, UNKNOWN)), st.sampled_from(LABELS)), min_size=1, max_size=12
)


def synchronized(metrics: list[Metric]) -> dict[str, float]:
    """Returns the scores of the first metric after the states of all of them are gathered."""
    others = {name: [getattr(metric, name) for metric in metrics] for name in metrics[0]._defaults}
    names = iter(metrics[0]._defaults)  # torchmetrics gathers the states in this order
    metrics[0].distributed_available_fn = lambda: True
    metrics[0].dist_sync_fn = lambda state, group: others[next(names)]
    return {name: float(value) for name, value in metrics[0].compute().items()}


def add_texts(metric: LabelScores, part: list[tuple[str, str]]) -> None:
    gold = [LABELS.index(label) if label in LABELS else -2 for label, _ in part]
    predicted = torch.tensor([LABELS.index(label) for _, label in part], dtype=torch.long)
    probabilities = torch.full((len(part), len(LABELS)), 0.2)
    probabilities[torch.arange(len(part)), predicted] = 0.6
    metric.update(torch.tensor(gold, dtype=torch.long), probabilities)


def add_tokens(metric: TokenScores, part: list[tuple[str, str]]) -> None:
    metric.update([[gold for gold, _ in part]], [[predicted for _, predicted in part]])


@pytest.mark.parametrize(("make", "add"), [(LabelScores, add_texts), (TokenScores, add_tokens)])
@settings(max_examples=150, deadline=None)
@given(rows=pairs, cut=st.integers(0, 12), num_processes=st.integers(1, 2))
def test_macro_f1_is_that_of_scikit_learn(make, add, rows, cut, num_processes):
    metrics = [make(LABELS) for _ in range(num_processes)]
    for part, metric in zip((rows[:cut], rows[cut:]), (metrics[0], metrics[-1]), strict=True):
        add(metric, part)
    found = synchronized(metrics)
    gold, predicted = zip(*rows, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no label is without a gold and a predicted token
        expected = f1_score(gold, predicted, average="macro")
    assert found["macro_f1"] == pytest.approx(expected, abs=1e-12)
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)
    if make is LabelScores:
        each = f1_score(gold, predicted, labels=LABELS, average=None, zero_division=0.0)
        assert [found[f"f1_{name}"] for name in LABELS] == pytest.approx(each.tolist(), abs=1e-12)


@pytest.mark.parametrize(("make", "add"), [(LabelScores, add_texts), (TokenScores, add_tokens)])
def test_a_label_that_is_predicted_and_never_gold_is_a_class(make, add):
    metric = make(LABELS)
    add(metric, [("bad", "bad"), ("bad", "fair")])
    # "bad": precision 1, recall 1/2, F1 2/3; "fair": 0; "good" occurs nowhere
    assert float(metric.compute()["macro_f1"]) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("make", [LabelScores, TokenScores])
def test_without_labels_the_scores_are_zero(make):
    found = {name: float(value) for name, value in make(LABELS).compute().items()}
    assert set(found.values()) == {0.0}
    assert {"macro_f1", "accuracy"} <= found.keys()
