"""The one interface of everything that makes one vector of the states of a text."""

import abc
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pipeline.encoders import Encoder


class Pooling(nn.Module, abc.ABC):
    """Makes one vector of the states of each text; what stands after a text's end is never read.

    A pooling is built from its own settings, then `fit` to an encoder, which makes its parameters.
    A text without tokens gives zeros.

    Attributes:
        output_size: features of the vector; set by `fit`.
    """

    output_size: int

    # nn.Module declares a call that returns anything; narrowed so that callers are type-checked.
    __call__: Callable[..., Tensor]

    @abc.abstractmethod
    def fit(self, encoder: Encoder) -> None:
        """Makes the parameters for the states of an encoder; called once, before anything else."""

    @abc.abstractmethod
    def forward(
        self, states: Float[Tensor, "batch time state"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch pooled"]:
        """Pools.

        Args:
            states: of an encoder, [batch time state]; unspecified after a row's end.
            lengths: real steps of each row, 0 allowed.

        Returns:
            [batch output_size].
        """


def real_steps(
    states: Float[Tensor, "batch time state"], lengths: Int[Tensor, "batch"]
) -> Bool[Tensor, "batch time 1"]:
    """Tells which steps are before a row's end."""
    steps = torch.arange(states.shape[1], device=states.device)
    return (steps < lengths.to(states.device).unsqueeze(1)).unsqueeze(-1)
