"""Statistics of gradient clipping."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Clipping:
    """Measures the effect of a Trainer's gradient clipping; a limit of None or 0 is no clipping."""

    def __init__(self, limit: float | None, by_value: bool) -> None:
        self.limit, self.by_value = limit, by_value
        self._clipped: list[Tensor] = []  # for each update since the last log

    def before(self, parameters: Sequence[nn.Parameter]) -> None:
        """Records whether the gradient of an update exceeds the limit."""
        gradients = _gradients(parameters)
        if self.limit and gradients:
            order = torch.inf if self.by_value else 2.0
            # Kept as a tensor: converting it to a number would synchronize the GPU.
            size = torch.nn.utils.get_total_norm(gradients, norm_type=order)
            self._clipped.append(size > self.limit)

    def after(self, parameters: Sequence[nn.Parameter]) -> dict[str, float]:
        """Returns `train/grad_norm_clipped` of the last update, if it has gradients.

        With a limit, also `train/clipped_share`: the share of the updates since the last call whose
        gradient was clipped.
        """
        gradients, clipped = _gradients(parameters), self._clipped
        self._clipped = []
        metrics = {}
        if gradients:
            norm = torch.nn.utils.get_total_norm(gradients)
            metrics["train/grad_norm_clipped"] = float(norm)
        if clipped:
            metrics["train/clipped_share"] = float(torch.stack(clipped).float().mean())
        return metrics


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
