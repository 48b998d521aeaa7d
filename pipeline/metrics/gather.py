"""Predictions for the sentences of a split, gathered from all ranks."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import torch

_One = TypeVar("_One")


class Prediction(NamedTuple):
    """The prediction for one sentence.

    Attributes:
        tags: One tag per token.
        log_probs: Natural logarithm of the probability of each span in `tags`, in the order of
            `pipeline.text.tags.spans`; of each token if the tags are plain labels.
    """

    tags: list[str]
    log_probs: list[float]


class Evaluated(NamedTuple):
    """The gold tags of a sentence with its prediction."""

    gold: list[str]
    predicted: Prediction


def gathered(evaluated: Mapping[int, _One], world_size: int) -> dict[int, _One]:
    """Gathers the results of all ranks on every rank.

    Args:
        evaluated: Row of the split -> result, of this rank.
        world_size: Number of ranks; all of them must call this function.

    Returns:
        Row -> result, of all ranks, sorted by row.

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
