"""No encoder at all: states are inputs."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, check_at_least_one, check_inputs, check_lengths
from pipeline.encoders.carry import Carry


class Identity(Encoder):
    """Passes each input on as the state of its step.

    Under a mean it is the deep averaging network's encoder (Iyyer et al. 2015), under a decoder the
    classifier of words without context that others are compared with. The carry has no features.

    Args:
        input_size: features of each input step.

    Raises:
        ValueError: `input_size` is below 1.
    """

    is_causal = True
    is_local = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        check_at_least_one("input_size", input_size)
        self.input_size = self.output_size = input_size

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        check_lengths(inputs, lengths)
        return Encoded(inputs, self.initial_carry(len(inputs)))

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; one tensor [batch_size 0], which tells the number of rows."""
        return (torch.zeros(batch_size, 0),)
