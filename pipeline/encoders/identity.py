"""An encoder that returns its inputs."""

import torch

from pipeline.encoders.base import (
    Encoded,
    Encoder,
    RowLengths,
    Steps,
    check_at_least_one,
    check_inputs,
    check_lengths,
)
from pipeline.encoders.carry import Carry


class Identity(Encoder):
    """Returns each input as the state of its step.

    With mean pooling it is the encoder of the deep averaging network (Iyyer et al. 2015); with a
    decoder it is a baseline that classifies each word without context.

    Args:
        input_size: Number of features of each input.

    Raises:
        ValueError: If `input_size` is below 1.

    Example:
        >>> import torch
        >>> Identity(input_size=2)(torch.ones(1, 1, 2)).states
        tensor([[[1., 1.]]])
    """

    is_causal = True
    is_local = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        check_at_least_one("input_size", input_size)
        self.input_size = self.output_size = input_size

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        check_lengths(inputs, lengths)
        return Encoded(inputs, (inputs.new_zeros(inputs.shape[0], 0),))

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; one tensor [batch_size 0], which keeps the number of rows."""
        return (torch.zeros(batch_size, 0),)
