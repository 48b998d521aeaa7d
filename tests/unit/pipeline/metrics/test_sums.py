"""Laws of all metrics: sums are exact, and the sums of all processes are added."""

import pytest
import torch

from pipeline.metrics import (
    CopyScores,
    LabelScores,
    SpanScores,
    SumScores,
    TextNll,
    TokenNll,
    TokenScores,
)

CASES = {
    "nll": (
        TokenNll,
        (torch.tensor([0.5, 0.25]).log(), torch.tensor([3, 1])),
        (torch.tensor([0.125]).log(), torch.tensor([2])),
    ),
    "spans": (
        lambda **options: SpanScores(["ORG", "PER"], **options),
        ([["B-PER", "I-PER", "O"], ["I-ORG", "O"]], [["B-PER", "O", "O"], ["I-ORG", "B-PER"]]),
        ([["B-ORG"]], [["I-PER"]]),
    ),
    "labels of tokens": (
        lambda **options: TokenScores(["DT", "NN"], **options),
        ([["DT", "NN"], ["NN"]], [["DT", "DT"], ["NN"]]),
        ([["NN", "XX"]], [["DT", "NN"]]),
    ),
    "labels of texts": (
        lambda **options: LabelScores(["bad", "good"], is_ordinal=True, **options),
        (torch.tensor([0, 1]), torch.tensor([[0.75, 0.25], [0.625, 0.375]])),
        (torch.tensor([1, -1]), torch.tensor([[0.125, 0.875], [0.5, 0.5]])),
    ),
    "sums": (
        SumScores,
        (torch.tensor([[[1.0625]], [[0.5]]]), torch.tensor([[1.0], [1.0]])),
        (torch.tensor([[[0.25]]]), torch.tensor([[0.0]])),
    ),
    "copies": (
        lambda: CopyScores(num_symbols=1),
        (torch.tensor([[[0.0, 2.0], [2.0, 0.0]]]), torch.tensor([[0, 0]])),
        (torch.tensor([[[0.0, 1.0], [2.0, 0.0]]]), torch.tensor([[1, 1]])),
    ),
}
"""Name -> constructor, and the arguments of two updates."""


def updated(make, *batches):
    metric = make()
    for batch in batches:
        metric.update(*batch)
    return metric


def of_two_processes(metric, other):
    """Returns the scores of a process beside another, whose states are gathered in their order."""
    states = iter(other.metric_state.values())
    metric.distributed_available_fn = lambda: True
    metric.dist_sync_fn = lambda state, group: [state, next(states)]
    return metric.compute()


@pytest.mark.parametrize("name", CASES)
def test_the_sums_of_two_processes_are_added(name):
    make, first, second = CASES[name]
    expected = updated(make, first, second).compute()
    found = of_two_processes(updated(make, first), updated(make, second))
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    assert str(found) != str(updated(make, first).compute()), "the second process has no effect"


@pytest.mark.parametrize("name", ["nll", "spans", "labels of tokens", "labels of texts"])
def test_a_process_may_score_its_own_items_only(name):
    make, first, second = CASES[name]
    alone = updated(lambda: make(sync_on_compute=False), first)
    expected = updated(make, first).compute()
    found = of_two_processes(alone, updated(make, second))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_each_process_scores_the_whole_text():
    text, other = (TextNll(unk_id=1) for _ in range(2))
    text.update(torch.tensor([0.5, 0.25]).log(), torch.tensor([3, 1]))
    other.update(torch.tensor([0.125]).log(), torch.tensor([2]))
    every = of_two_processes(text.every, other.every)
    assert every == pytest.approx(torch.tensor(8.0).log() / 2)
    assert of_two_processes(text.known, other.known) == pytest.approx(torch.tensor(2.0).log())


@pytest.mark.parametrize("name", CASES)
def test_sums_are_float64_and_counts_are_integers(name):
    make, *batches = CASES[name]
    empty, full = make(), updated(make, *batches)
    for state, value in full.metric_state.items():
        initial = empty.metric_state[state]
        assert value.dtype == initial.dtype, state
        assert value.dtype in (torch.float64, torch.int64), state
        assert value.shape == initial.shape, state
        assert not initial.any(), state
        is_fraction = not torch.equal(value.double(), value.double().round())
        assert value.dtype == torch.float64 or not is_fraction, state
