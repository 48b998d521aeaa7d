"""Logging of the scores of tasks, for the callbacks that compare and track them."""

from collections.abc import Mapping

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from pipeline.console import print_note
from pipeline.metrics import TextNll, TokenNll, perplexity, token_scores
from pipeline.text.units import Unit
from pipeline.text.vocabulary import UNK, Vocabulary


def log_scores(task: LightningModule, stage: str, scores: Mapping[str, Tensor]) -> None:
    """Logs scores as `<stage>/<name>`; `RunLog` sends them to the tracker with the exact step."""
    task.log_dict({f"{stage}/{name}": score for name, score in scores.items()})


def log_token_scores(
    task: LightningModule,
    vocabulary: Vocabulary,
    stage: str,
    evaluation: TextNll,
    **others: TokenNll,
) -> None:
    """Logs the scores of a language model in the stage "val" or "test".

    Most scores are computed from `evaluation`. `others` are nlls under other evaluation rules, by
    the names of their perplexities. Outside of training, a note says if the text has `<unk>` but
    the training text of the vocabulary has none.
    """
    # The unit changes only the names of scores, so the model does not have it.
    unit: Unit = getattr(getattr(task.trainer, "datamodule", None), "unit", "word")
    # Ranks may differ in the last bits but must agree on the best checkpoint.
    own = [float(metric.compute()) for metric in (evaluation.every, evaluation.known)]
    nll, known_nll = torch.tensor(task.trainer.strategy.broadcast(own), dtype=torch.float64)
    scores = token_scores(nll, known_nll, evaluation.every.count, evaluation.num_unknown, unit)
    scores |= {name: perplexity(metric.compute()) for name, metric in others.items()}
    log_scores(task, stage, scores)
    if task.trainer.state.fn != "fit":  # once per training, not after each epoch
        _note_untrained(vocabulary, stage, scores)


def _note_untrained(vocabulary: Vocabulary, stage: str, scores: Mapping[str, Tensor]) -> None:
    """Prints a note if a text has `<unk>`, whose probability training could not estimate."""
    unknown, tokens = int(scores["unk"]), int(scores["tokens"])
    if unknown and not vocabulary.has_counted(UNK):
        print_note(
            f"note: {unknown:,} of {tokens:,} tokens ({unknown / tokens:.1%}) are {UNK}, which the "
            "training text does not contain, so that their probability was not estimated; compare "
            f"models by {stage}/perplexity_known"
        )


def note_infinity(stage: str, evaluation: TextNll, advice: str) -> None:
    """Prints a note if the perplexity of a text is infinite; `advice` says why and what to do."""
    nll = evaluation.every.compute()
    if perplexity(nll) == torch.inf:
        print_note(
            f"note: {stage}/perplexity is infinite (mean nll {float(nll):.4g} nats per token): "
            f"{advice}"
        )
