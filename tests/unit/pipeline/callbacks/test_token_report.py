"""Losses of test tokens: values, padding, and tasks that return something else."""

import pytest
import torch

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.callbacks import TokenReport

TARGETS = torch.tensor([[4, 5, IGNORE_INDEX], [6, IGNORE_INDEX, IGNORE_INDEX]])
LOG_PROBS = torch.tensor([[-1.0, -2.0, 9.0], [-3.0, 9.0, 9.0]])


def window():
    fields = dict.fromkeys(StreamWindow._fields)
    return StreamWindow(**{**fields, "targets": TARGETS})


@pytest.mark.parametrize("log_probs", [LOG_PROBS, LOG_PROBS[TARGETS != IGNORE_INDEX]])
def test_real_tokens_of_all_batches(log_probs, tmp_path):
    losses = TokenReport(tmp_path)
    for _ in range(2):
        losses.on_test_batch_end(None, None, {"log_probs": log_probs}, window(), 0)
    nll, targets = losses._take()
    assert nll.dtype == torch.float64
    assert nll.tolist() == [1, 2, 3] * 2
    assert targets.tolist() == [4, 5, 6] * 2
    assert losses._take() is None


@pytest.mark.parametrize("outputs", [{}, {"loss": torch.zeros(())}, None, torch.zeros(())])
def test_other_results_of_a_test_step(outputs, tmp_path):
    losses = TokenReport(tmp_path)
    losses.on_test_batch_end(None, None, outputs, window(), 0)
    assert losses._take() is None
