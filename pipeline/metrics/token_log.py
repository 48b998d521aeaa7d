"""The scores of a language model, as each kind of it logs them."""

import torch
from lightning.pytorch import LightningModule

from pipeline.metrics import TokenNll, perplexity, token_scores
from pipeline.text.units import Unit


def log_token_scores(
    task: LightningModule, stage: str, evaluation: TokenNll, **others: TokenNll
) -> None:
    """Logs what a stream was scored with, for the callbacks that watch, compare and track it.

    Args:
        task: a language model.
        stage: "val" or "test".
        evaluation: the headline: `perplexity`, `nll`, `tokens`, and of characters `bpc`.
        others: what is scored by other rules, by the name that its perplexity has.
    """
    # What a token is does not change the model, only what its scores are called.
    unit: Unit = getattr(getattr(task.trainer, "datamodule", None), "unit", "word")
    # Ranks may differ in the last bits, and must agree on what is best.
    nll = torch.tensor(
        task.trainer.strategy.broadcast(float(evaluation.compute())), dtype=torch.float64
    )
    scores = token_scores(nll, evaluation.count, unit)
    scores |= {name: perplexity(metric.compute()) for name, metric in others.items()}
    # The tracker is written by pipeline.callbacks.RunLog, which knows the exact step.
    task.log_dict({f"{stage}/{name}": score for name, score in scores.items()}, logger=False)
