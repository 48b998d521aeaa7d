"""Predictions for the sentences of a split, gathered from all ranks."""

import math
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import torch

_One = TypeVar("_One")


class Prediction(NamedTuple):
    """The prediction for one sentence: a tag for each token and natural log-probabilities.

    `log_probs` are those of the spans in `tags`, in the order of `pipeline.text.tags.spans`, or of
    the tokens if the tags are plain labels.
    """

    tags: list[str]
    log_probs: list[float]


class Evaluated(NamedTuple):
    """The gold tags of a sentence with its prediction.

    `nll` is that of the gold tags in nats per token; nan in validation, which does not compute it.
    """

    gold: list[str]
    predicted: Prediction
    nll: float = math.nan


def gathered(evaluated: Mapping[int, _One], world_size: int) -> dict[int, _One]:
    """Gathers results by row of the split on every rank, sorted by row; all ranks must call it.

    Example:
        >>> gathered({2: "second", 0: "first"}, world_size=1)
        {0: 'first', 2: 'second'}
    """
    parts = [dict(evaluated)]
    if world_size > 1:
        parts = [{} for _ in range(world_size)]
        torch.distributed.all_gather_object(parts, dict(evaluated))
    joined = {row: sentence for part in parts for row, sentence in part.items()}
    return dict(sorted(joined.items()))
