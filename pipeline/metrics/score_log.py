"""Logging of the scores of tasks, for the callbacks that compare and track them."""

from collections.abc import Mapping

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from pipeline.metrics import TokenNll, perplexity, token_scores
from pipeline.text.units import Unit


def log_scores(task: LightningModule, stage: str, scores: Mapping[str, Tensor]) -> None:
    """Logs scores as `<stage>/<name>`; `RunLog` sends them to the tracker with the exact step."""
    task.log_dict({f"{stage}/{name}": score for name, score in scores.items()})


def log_token_scores(
    task: LightningModule, stage: str, evaluation: TokenNll, **others: TokenNll
) -> None:
    """Logs the scores of a language model in the stage "val" or "test".

    Most scores are computed from `evaluation`. `others` are nlls under other evaluation rules, by
    the names of their perplexities.
    """
    # The unit changes only the names of scores, so the model does not have it.
    unit: Unit = getattr(getattr(task.trainer, "datamodule", None), "unit", "word")
    # Ranks may differ in the last bits but must agree on the best checkpoint.
    nll = torch.tensor(
        task.trainer.strategy.broadcast(float(evaluation.compute())), dtype=torch.float64
    )
    scores = token_scores(nll, evaluation.count, unit)
    scores |= {name: perplexity(metric.compute()) for name, metric in others.items()}
    log_scores(task, stage, scores)
