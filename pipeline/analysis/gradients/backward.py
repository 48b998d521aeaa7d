"""Norms of the gradient of a loss with respect to earlier states, by lag."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.analysis.gradients.recording import LayerRecord


class GradientNorms(NamedTuple):
    """The gradient norms of one layer: Euclidean norms of the derivative of a row's loss in nats.

    State and cell are differentiated separately; the norm of the cell is 0 at lag 0, because a loss
    depends on the state.
    """

    norms: dict[str, list[float]]  # "state" (and "cell") -> by lag, mean over rows
    rows: list[int]  # result of `rows_by_lag`


def gradient_norms(
    total: Tensor, steps: Tensor, records: Sequence[LayerRecord], lags: int
) -> list[GradientNorms]:
    """Differentiates a loss by the states of all recorded layers.

    dL_t/dh_k is the total derivative, through all steps from k to t and all layers above. `total`
    and `steps` are those of `LossAt`.
    """
    wanted = [part for record in records for series in record.parts.values() for part in series]
    found = iter(torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True))
    results = []
    for record in records:
        positions, norms = record.positions(steps), {}
        for name, series in record.parts.items():
            gradients = [next(found) for _ in series]
            each = [_norms(one, part) for one, part in zip(gradients, series, strict=True)]
            norms[name] = by_lag(torch.stack(each, dim=1), positions, lags)
        results.append(GradientNorms(norms, rows_by_lag(positions, lags)))
    return results


def _norms(gradient: Tensor | None, part: Tensor) -> Tensor:
    if gradient is None:  # the loss does not depend on it
        return torch.zeros(len(part), dtype=torch.float64, device=part.device)
    norms: Tensor = torch.linalg.vector_norm(gradient.detach().double().flatten(1), dim=1)
    return norms


def rows_by_lag(positions: Tensor, lags: int) -> list[int]:
    """Counts the rows that have a step at each lag, up to the last lag that half of them have.

    Means at larger lags would be over few rows and jump where a row ends.
    """
    return [int((positions >= lag).sum()) for lag in range(_deepest(positions, lags) + 1)]


def _deepest(positions: Tensor, lags: int) -> int:
    real = positions[positions >= 0].sort(descending=True).values
    return min(lags, int(real[(len(real) - 1) // 2]))


def by_lag(values: Tensor, positions: Tensor, lags: int) -> list[float]:
    """Averages values [batch time] over rows, for the lags that half of the rows have.

    `positions` is the step at lag 0 of each row; -1 excludes a row [batch].

    Example:
        >>> by_lag(torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([2]), lags=1)
        [6.0, 2.0]
    """
    means = []
    for lag in range(_deepest(positions, lags) + 1):
        (rows,) = torch.nonzero(positions >= lag, as_tuple=True)
        means.append(float(values[rows, positions[rows] - lag].mean()))
    return means


def factor_per_step(norms: Sequence[float]) -> float | None:
    """Fits norm = a * factor^lag by least squares of the logarithms of norms by lag.

    Returns the factor per step back; None if fewer than two norms are above 0.

    Example:
        >>> round(factor_per_step([8.0, 4.0, 2.0]), 6)
        0.5
    """
    points = [(lag, math.log(x)) for lag, x in enumerate(norms) if 0 < x < math.inf]
    if len(points) < 2:
        return None
    mean_lag = sum(lag for lag, _ in points) / len(points)
    mean_log = sum(log for _, log in points) / len(points)
    covariance = sum((lag - mean_lag) * (log - mean_log) for lag, log in points)
    return math.exp(covariance / sum((lag - mean_lag) ** 2 for lag, _ in points))


def half_life(factor: float | None) -> float | None:
    """Returns the number of steps after which half is left; None without decay or factor."""
    if factor is None or factor <= 0 or factor > 1 - 1e-9:
        return None
    return math.log(0.5) / math.log(factor)
