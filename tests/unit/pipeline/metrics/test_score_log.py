"""Names and values of the scores that tasks log."""

import math
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule

from pipeline.metrics import TextNll, TokenNll
from pipeline.metrics.score_log import log_scores, log_token_scores, note_infinity
from pipeline.text.vocabulary import Vocabulary


class Task(LightningModule):
    trainer = None

    def __init__(self, datamodule=None, broadcast=list, fn="fit"):
        super().__init__()
        strategy, state = SimpleNamespace(broadcast=broadcast), SimpleNamespace(fn=fn)
        self.trainer = SimpleNamespace(strategy=strategy, datamodule=datamodule, state=state)
        self.logged = {}

    def log_dict(self, scores):
        self.logged |= {name: float(value) for name, value in scores.items()}


WORDS = Vocabulary(["<eos>", "<unk>", "a"], counts=[3, 0, 5])


def nll_of(*values, metric=None):
    """The nll of `<eos>` tokens."""
    metric = metric or TextNll(WORDS.unk_id)
    metric.update(-torch.tensor(values, dtype=torch.float64), torch.zeros(len(values)).long())
    return metric


@pytest.mark.parametrize("stage", ["val", "test"])
def test_scores_are_named_by_their_stage(stage):
    task = Task()
    log_scores(task, stage, {"f1": torch.tensor(0.5)})
    evaluation = nll_of(1.0, 2.0)
    evaluation.update(torch.tensor([-9.0]), torch.tensor([WORDS.unk_id]))
    cache = nll_of(1.0, metric=TokenNll())
    log_token_scores(task, WORDS, stage, evaluation, cache_perplexity=cache)
    assert task.logged == {
        f"{stage}/f1": 0.5,
        f"{stage}/perplexity": pytest.approx(math.exp(4)),
        f"{stage}/perplexity_known": pytest.approx(math.exp(1.5)),
        f"{stage}/nll": 4,
        f"{stage}/tokens": 3,
        f"{stage}/unk": 1,
        f"{stage}/cache_perplexity": pytest.approx(math.e),
    }


def test_characters_have_bits():
    task = Task(SimpleNamespace(unit="character"))
    log_token_scores(task, WORDS, "test", nll_of(math.log(8)))
    assert task.logged["test/bpc"] == pytest.approx(3)


def test_all_ranks_log_the_score_of_the_first():
    task = Task(broadcast=lambda nlls: [0.5, 0.25])
    log_token_scores(task, WORDS, "val", nll_of(1.0, 2.0))
    assert (task.logged["val/nll"], task.logged["val/perplexity"]) == (0.5, math.exp(0.5))
    assert task.logged["val/perplexity_known"] == math.exp(0.25)


def test_infinity_is_noted(capsys):
    """exp(709) is a float, exp(710) is not."""
    note_infinity("test", nll_of(709.0), "lower it")
    assert not capsys.readouterr().err
    note_infinity("test", nll_of(710.0), "lower it")
    note = "note: test/perplexity is infinite (mean nll 710 nats per token): lower it\n"
    assert capsys.readouterr().err == note


@pytest.mark.parametrize(
    ("counts", "target", "fn", "is_noted"),
    [
        ([3, 0, 5], 1, "test", True),
        ([3, 0, 5], 1, "fit", False),  # not after each epoch
        ([3, 0, 5], 2, "test", False),
        ([3, 1, 5], 1, "test", False),
        (None, 1, "test", False),  # an ARPA file
    ],
)
def test_unk_that_training_has_not_seen(capsys, counts, target, fn, is_noted):
    evaluation = TextNll(WORDS.unk_id)
    evaluation.update(torch.tensor([-1.0, -2.0]), torch.tensor([0, target]))
    log_token_scores(Task(fn=fn), Vocabulary(WORDS.words, counts), "test", evaluation)
    noted = "note: 1 of 2 tokens (50.0%) are <unk>, which the training text does not contain"
    error = capsys.readouterr().err
    assert (noted in error) == ("by test/perplexity_known" in error) == is_noted


def test_the_logged_nll_is_not_rounded():
    """1 + 2^-40 has no float32."""
    task = Task()
    log_token_scores(task, WORDS, "val", nll_of(1 + 2**-40))
    assert task.logged["val/nll"] == 1 + 2**-40
