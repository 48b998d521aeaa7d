"""Names and values of the scores that tasks log."""

import math
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule

from pipeline.metrics import TokenNll
from pipeline.metrics.score_log import log_scores, log_token_scores


class Task(LightningModule):
    trainer = None

    def __init__(self, datamodule=None, broadcast=float):
        super().__init__()
        strategy = SimpleNamespace(broadcast=broadcast)
        self.trainer = SimpleNamespace(strategy=strategy, datamodule=datamodule)
        self.logged = {}

    def log_dict(self, scores):
        self.logged |= {name: float(value) for name, value in scores.items()}


def nll_of(*values):
    metric = TokenNll()
    metric.update(-torch.tensor(values, dtype=torch.float64), torch.zeros(len(values)).long())
    return metric


@pytest.mark.parametrize("stage", ["val", "test"])
def test_scores_are_named_by_their_stage(stage):
    task = Task()
    log_scores(task, stage, {"f1": torch.tensor(0.5)})
    log_token_scores(task, stage, nll_of(1.0, 2.0), cache_perplexity=nll_of(1.0))
    assert task.logged == {
        f"{stage}/f1": 0.5,
        f"{stage}/perplexity": pytest.approx(math.exp(1.5)),
        f"{stage}/nll": 1.5,
        f"{stage}/tokens": 2,
        f"{stage}/cache_perplexity": pytest.approx(math.e),
    }


def test_characters_have_bits():
    task = Task(SimpleNamespace(unit="character"))
    log_token_scores(task, "test", nll_of(math.log(8)))
    assert task.logged["test/bpc"] == pytest.approx(3)


def test_all_ranks_log_the_score_of_the_first():
    task = Task(broadcast=lambda nll: 0.5)
    log_token_scores(task, "val", nll_of(1.0, 2.0))
    assert (task.logged["val/nll"], task.logged["val/perplexity"]) == (0.5, math.exp(0.5))
