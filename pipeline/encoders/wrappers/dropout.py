"""Dropout whose mask does not change along a sequence."""

import torch
from torch import Tensor, nn


class VariationalDropout(nn.Module):
    """Drops the same features at every step of a row, and others in each row.

    Gal and Ghahramani (2016, arXiv 1512.05287), equation 7, for what a layer reads. What is kept
    is scaled by 1 / (1 - dropout); in evaluation nothing happens.

    Args:
        dropout: the chance of each feature of a row to become 0.

    Raises:
        ValueError: `dropout` is not in [0, 1).
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        check_dropout(dropout)
        self.dropout = dropout

    def forward(self, inputs: Tensor) -> Tensor:
        """Drops features of `inputs` [batch time feature]."""
        if not self.training or not self.dropout:
            return inputs
        batch, _, size = inputs.shape
        kept = torch.rand(batch, 1, size, device=inputs.device) >= self.dropout
        return inputs * (kept.to(inputs.dtype) / (1 - self.dropout))


def check_dropout(dropout: float, name: str = "dropout") -> None:
    """Raises a ValueError unless `dropout`, the argument called `name`, is a chance in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {dropout}")
