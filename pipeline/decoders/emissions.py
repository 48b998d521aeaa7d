"""Scores of tags by a linear map."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def real_steps(states: Tensor, lengths: Tensor) -> Tensor:
    """Returns which steps of `states` [batch time ...] are real, bool [batch time]."""
    times = torch.arange(states.shape[1], device=states.device)
    return times < lengths.to(states.device).unsqueeze(1)


def emissions(linear: nn.Linear, states: Tensor, lengths: Tensor) -> Tensor:
    """Computes the score of each tag at each step by a linear map, without autocast.

    The states are [batch time input]; padded steps are ignored, even if they are nan. The scores
    [batch time tag] have float32 (float64 in a float64 model).
    """
    dtype = torch.promote_types(linear.weight.dtype, torch.float32)
    is_padding = ~real_steps(states, lengths).unsqueeze(-1)
    with torch.autocast(states.device.type, enabled=False):
        return F.linear(
            states.masked_fill(is_padding, 0.0).to(dtype),
            linear.weight.to(dtype),
            linear.bias.to(dtype),
        )
