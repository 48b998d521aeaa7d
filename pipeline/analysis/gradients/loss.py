"""What a task offers, so that its loss can be followed back to earlier states."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from pipeline.encoders import Encoder


class LossAt(NamedTuple):
    """The loss of a few rows, and the step of each where going back begins.

    Attributes:
        total: in nats, summed over the rows [].
        steps: the token of each row at which the lag is 0, counted from the left, int64 [batch];
            -1 for a row without a loss.
        name: what it is, as "nll of a token".
    """

    total: Tensor
    steps: Tensor
    name: str


@runtime_checkable
class Traceable(Protocol):
    """A task with an encoder, whose loss can be followed back.

    Attributes:
        encoder: the states that are looked at are those of its layers.
    """

    encoder: Encoder

    def loss_at(self, batch: Any, from_right: bool) -> LossAt:  # noqa: ANN401 (the task's own)
        """Gives the loss that is read off the last state, of readers from one side.

        Args:
            batch: as in training.
            from_right: of layers that read from right to left; else of those from left to right.
        """
