"""Dropout on the inputs of an encoder."""

import torch
from torch import Tensor, nn

from pipeline.encoders.base import Encoder, check_dropout
from pipeline.encoders.wrappers.stacked import EncoderWrapper


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


class DropInputs(EncoderWrapper):
    """Dropout on what an encoder reads, never on its recurrence.

    Zaremba et al. (2014, arXiv 1409.2329, section 3.2).

    Args:
        inner: reads what is left.
        dropout: the chance of each number to become 0.
        variational: one mask for all steps of a row, see `VariationalDropout`.

    Raises:
        ValueError: `dropout` is not in [0, 1).
    """

    def __init__(self, inner: Encoder, dropout: float, variational: bool = False) -> None:
        check_dropout(dropout)
        super().__init__(inner)
        self.chance = dropout
        self.dropout = VariationalDropout(dropout) if variational else nn.Dropout(dropout)

    @property
    def is_active(self) -> bool:
        """Whether a number may be dropped now."""
        return self.dropout.training and self.chance > 0

    def _read(self, inputs: Tensor) -> Tensor:
        read: Tensor = self.dropout(inputs)
        return read
