"""The protocol of tasks whose gradients can be analyzed."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from pipeline.encoders import Encoder


class LossAt(NamedTuple):
    """The loss of one step of each row.

    Attributes:
        total: Loss in nats, summed over the rows [].
        steps: Index of the token at lag 0 of each row, int64 [batch]; -1 for a row without a loss.
        name: Name of the loss, such as "nll of a token".
    """

    total: Tensor
    steps: Tensor
    name: str


@runtime_checkable
class Traceable(Protocol):
    """A task whose loss can be differentiated by the states of its recurrent layers.

    Attributes:
        encoder: The encoder whose layers are analyzed.
    """

    encoder: Encoder

    def loss_at(self, batch: Any, from_right: bool) -> LossAt:  # noqa: ANN401 (the task's own)
        """Computes a loss that depends on the last state of the layers of one direction.

        Args:
            batch: A batch as in training.
            from_right: Whether the layers that read from right to left are analyzed.
        """
