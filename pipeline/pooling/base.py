"""The pooling interface."""

import abc
from collections.abc import Callable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pipeline import transfers
from pipeline.encoders import Encoder


class Pooling(nn.Module, abc.ABC):
    """Base class of poolings, which reduce the states of each text to one vector.

    A pooling is constructed from its settings; `fit` then creates its parameters for an encoder.
    Padded steps are ignored, and a text without tokens gives zeros.

    Attributes:
        output_size: Number of features of the vector; set by `fit`.
    """

    output_size: int

    # nn.Module declares a call that returns anything; narrowed so that callers are type-checked.
    __call__: Callable[..., Tensor]

    def fit(self, encoder: Encoder) -> None:
        """Creates the parameters for the states of an encoder; called once, before `forward`."""
        self.output_size = encoder.output_size

    @abc.abstractmethod
    def forward(
        self, states: Float[Tensor, "batch time state"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch pooled"]:
        """Reduces the states of each row to one vector.

        Args:
            states: States of the encoder [batch time state].
            lengths: Number of real steps of each row, 0 allowed [batch], on the CPU.

        Returns:
            Vectors [batch output_size].
        """


def real_steps(
    states: Float[Tensor, "batch time state"], lengths: Int[Tensor, "batch"]
) -> Bool[Tensor, "batch time 1"]:
    """Returns which steps are real."""
    return transfers.real_steps(lengths, states.shape[1], states.device).unsqueeze(-1)
