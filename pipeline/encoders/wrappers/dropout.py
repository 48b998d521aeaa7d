"""Dropout on the inputs of an encoder."""

import torch
from torch import Tensor, nn

from pipeline.encoders.base import Encoder, check_dropout
from pipeline.encoders.wrappers.base import EncoderWrapper


class VariationalDropout(nn.Module):
    """Dropout with one mask for all steps of a row (Gal and Ghahramani 2016, arXiv 1512.05287).

    Equation 7 of the paper, for the inputs of a layer. Kept features are scaled by
    1 / (1 - dropout); in evaluation mode the inputs are returned unchanged.

    Args:
        dropout: Probability of setting a feature of a row to 0.

    Raises:
        ValueError: If `dropout` is not in [0, 1).

    Example:
        >>> import torch
        >>> dropped = VariationalDropout(0.5)(torch.ones(1, 3, 4))
        >>> torch.equal(dropped[:, 0], dropped[:, 2])
        True
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        check_dropout(dropout)
        self.dropout = dropout

    def forward(self, inputs: Tensor) -> Tensor:
        """Applies dropout to `inputs` [batch time feature]."""
        if not self.training or not self.dropout:
            return inputs
        batch, _, size = inputs.shape
        kept = torch.rand(batch, 1, size, device=inputs.device) >= self.dropout
        return inputs * (kept.to(inputs.dtype) / (1 - self.dropout))


class DropInputs(EncoderWrapper):
    """Dropout on the inputs of an encoder (Zaremba et al. 2014, arXiv 1409.2329, section 3.2).

    Args:
        inner: Encoder of the remaining inputs.
        dropout: Probability of setting a feature to 0.
        variational: Whether one mask is used for all steps of a row.

    Raises:
        ValueError: If `dropout` is not in [0, 1).

    Example:
        >>> import torch
        >>> from pipeline.encoders import Identity
        >>> sorted(DropInputs(Identity(50), dropout=0.5)(torch.ones(1, 1, 50)).states.unique())
        [tensor(0.), tensor(2.)]
    """

    def __init__(self, inner: Encoder, dropout: float, variational: bool = False) -> None:
        check_dropout(dropout)
        super().__init__(inner)
        self.chance = dropout
        self.dropout = VariationalDropout(dropout) if variational else nn.Dropout(dropout)

    @property
    def is_active(self) -> bool:
        """Whether dropout is active: set, and in training mode."""
        return self.dropout.training and self.chance > 0

    def _read(self, inputs: Tensor) -> Tensor:
        read: Tensor = self.dropout(inputs)
        return read
