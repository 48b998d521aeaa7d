"""Norms of the gradient of a loss by the states before it, lag by lag."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.analysis.gradients.recording import LayerRecord


class GradientNorms(NamedTuple):
    """What reaches the states of one layer.

    Attributes:
        norms: of what is handed on, "state" (and "memory"), by lag: the mean over rows of the
            Euclidean norm of the derivative of the loss of a row, in nats. The memory is 0 at lag
            0: each holds the other still, and a loss reads the state.
        rows: how many rows have a step at each lag, up to the last that half of them have.
    """

    norms: dict[str, list[float]]
    rows: list[int]


def gradient_norms(
    total: Tensor, steps: Tensor, traces: Sequence[LayerRecord], lags: int
) -> list[GradientNorms]:
    """Differentiates a loss by all that its layers handed on.

    dL_t/dh_k is the whole derivative: by the steps from k to t, and by the layers above.

    Args:
        total: the loss, summed over rows [].
        steps: the token of each row at which the lag is 0, -1 for none [batch].
        traces: of the layers.
        lags: the greatest lag.

    Returns:
        The flow of each trace.
    """
    wanted = [part for trace in traces for series in trace.parts.values() for part in series]
    found = iter(torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True))
    results = []
    for trace in traces:
        places, norms = trace.places(steps), {}
        for name, series in trace.parts.items():
            gradients = [next(found) for _ in series]
            each = [_norms(one, part) for one, part in zip(gradients, series, strict=True)]
            norms[name] = by_lag(torch.stack(each, dim=1), places, lags)
        results.append(GradientNorms(norms, rows_by_lag(places, lags)))
    return results


def _norms(gradient: Tensor | None, part: Tensor) -> Tensor:
    if gradient is None:  # nothing of the loss depends on it
        return torch.zeros(len(part), dtype=torch.float64, device=part.device)
    norms: Tensor = torch.linalg.vector_norm(gradient.detach().double().flatten(1), dim=1)
    return norms


def rows_by_lag(places: Tensor, lags: int) -> list[int]:
    """Counts the rows that have a step at each lag, up to the last lag that half of them have.

    Beyond it a mean would be over few rows, and jump where one of them ends.
    """
    return [int((places >= lag).sum()) for lag in range(_deepest(places, lags) + 1)]


def _deepest(places: Tensor, lags: int) -> int:
    real = places[places >= 0].sort(descending=True).values
    return min(lags, int(real[(len(real) - 1) // 2]))


def by_lag(values: Tensor, places: Tensor, lags: int) -> list[float]:
    """Averages over rows, at each lag.

    Args:
        values: of each row at each step [batch time].
        places: the step of each row at which the lag is 0; -1 for a row to leave out [batch].
        lags: the greatest lag.

    Returns:
        A mean for each lag that half of the rows have.
    """
    means = []
    for lag in range(_deepest(places, lags) + 1):
        (rows,) = torch.nonzero(places >= lag, as_tuple=True)
        means.append(float(values[rows, places[rows] - lag].mean()))
    return means


def factor_per_step(norms: Sequence[float]) -> float | None:
    """Fits norm = a * factor^lag by least squares of the logarithms.

    Args:
        norms: by lag.

    Returns:
        What each step back multiplies the norm by; None where fewer than two norms are above 0.
    """
    points = [(lag, math.log(x)) for lag, x in enumerate(norms) if 0 < x < math.inf]
    if len(points) < 2:
        return None
    mean_lag = sum(lag for lag, _ in points) / len(points)
    mean_log = sum(log for _, log in points) / len(points)
    covariance = sum((lag - mean_lag) * (log - mean_log) for lag, log in points)
    return math.exp(covariance / sum((lag - mean_lag) ** 2 for lag, _ in points))


def half_life(factor: float | None) -> float | None:
    """Gives the steps after which half is left; None where nothing decays, or nothing is known."""
    if factor is None or factor <= 0 or factor > 1 - 1e-9:
        return None
    return math.log(0.5) / math.log(factor)
