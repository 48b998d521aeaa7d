"""What a model said of the sentences of a split, wherever they were evaluated."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import torch

_One = TypeVar("_One")


class Prediction(NamedTuple):
    """What was predicted of one sentence.

    Attributes:
        tags: one per token.
        log_probs: for each span of `tags` as `pipeline.text.tags.spans` reads it (where tags are
            plain labels, for each token) the natural logarithm of its probability.
    """

    tags: list[str]
    log_probs: list[float]


class Evaluated(NamedTuple):
    """A sentence's gold tags, and what was predicted."""

    gold: list[str]
    predicted: Prediction


def gathered(evaluated: Mapping[int, _One], world_size: int) -> dict[int, _One]:
    """Joins what all ranks evaluated, on every rank.

    Args:
        evaluated: row of the split -> what was said of it, of this rank.
        world_size: number of ranks, which all call this.

    Returns:
        Row -> what was said of it, of all ranks, in the order of rows.
    """
    parts = [dict(evaluated)]
    if world_size > 1:
        parts = [{} for _ in range(world_size)]
        torch.distributed.all_gather_object(parts, dict(evaluated))
    joined = {row: sentence for part in parts for row, sentence in part.items()}
    return dict(sorted(joined.items()))
