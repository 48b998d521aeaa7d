"""What Lightning hands to callbacks after a training step."""

from collections.abc import Mapping

from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor


def loss_of(outputs: STEP_OUTPUT) -> Tensor:
    """Returns the loss of a training step, detached []."""
    assert isinstance(outputs, Mapping), "automatic optimisation gives a mapping"
    loss: Tensor = outputs["loss"]
    return loss.detach()
