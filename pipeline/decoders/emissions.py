"""Scores of tags, one step at a time."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def real_steps(states: Tensor, lengths: Tensor) -> Tensor:
    """Says which steps are real.

    Args:
        states: [batch time ...].
        lengths: real steps of each row, int64 [batch].

    Returns:
        bool [batch time].
    """
    times = torch.arange(states.shape[1], device=states.device)
    return times < lengths.to(states.device).unsqueeze(1)


def emissions(linear: nn.Linear, states: Tensor, lengths: Tensor) -> Tensor:
    """Scores each tag at each step by a linear map, whatever autocast says.

    Args:
        linear: from states to scores.
        states: [batch time input]; those after a row's end, nan even, are not read.
        lengths: real steps of each row, int64 [batch].

    Returns:
        Finite where states of real steps are; float32 (float64 in a float64 model)
        [batch time tag].
    """
    dtype = torch.promote_types(linear.weight.dtype, torch.float32)
    is_padding = ~real_steps(states, lengths).unsqueeze(-1)
    with torch.autocast(states.device.type, enabled=False):
        return F.linear(
            states.masked_fill(is_padding, 0.0).to(dtype),
            linear.weight.to(dtype),
            linear.bias.to(dtype),
        )
