"""Gradient norms before and after clipping, and how often it clips."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Clipping:
    """Watches a Trainer's own clipping, which it does not touch.

    Args:
        limit: `gradient_clip_val`; None or 0 for none.
        by_value: the limit is of each number, not of the norm of all.
    """

    def __init__(self, limit: float | None, by_value: bool) -> None:
        self.limit, self.by_value = limit, by_value
        self._clipped: list[Tensor] = []  # of the updates since the last log

    def before(self, parameters: Sequence[nn.Parameter]) -> None:
        """Notes whether the gradient of an update is above the limit."""
        gradients = _gradients(parameters)
        if self.limit and gradients:
            order = torch.inf if self.by_value else 2.0
            # A tensor: on a GPU the host would wait for a number.
            size = torch.nn.utils.get_total_norm(gradients, norm_type=order)
            self._clipped.append(size > self.limit)

    def after(self, parameters: Sequence[nn.Parameter]) -> dict[str, float]:
        """Measures the gradient that the last update was made with.

        Returns:
            `train/grad_norm_clipped`, and `train/clipped_share` of the updates since the last call,
            where a limit is set.
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
