r"""Jacobians from state to state, their products, and the bound of the lectures.

.. math::
    \left\| \frac{\partial h_t}{\partial h_k} \right\|
    = \left\| \prod_{j=k+1}^t \frac{\partial h_j}{\partial h_{j-1}} \right\|
    \le (\beta_W \beta_h)^{t-k}

(Bengio et al. 1994; Pascanu et al. 2013, arXiv 1211.5063, equations 5-7.) Norms are spectral.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.analysis.gradients.recording import LayerRecord
from pipeline.encoders import Carry
from pipeline.encoders.layers.base import RecurrentLayer

WIDEST = 1024
"""Numbers in a carry above which no Jacobian is made: each needs a matrix of its square."""
_ROWS, _LAGS = 2, 20


class Jacobians(NamedTuple):
    """The derivatives of one layer's carry: of all of it, for an LSTM (hidden, memory).

    Attributes:
        steps: the norm of the Jacobian of each single step, the latest first: the mean over rows.
        products: by lag, the norm of the product of so many steps; 1 at lag 0.
    """

    steps: list[float]
    products: list[float]


@torch.enable_grad()
def step_jacobian(leaf: RecurrentLayer, step: Tensor, carry: Carry) -> Tensor:
    """Differentiates the carry after a step by the one before it.

    Args:
        leaf: the layer.
        step: what it reads, of one row [input].
        carry: before the step, of one row: flat tensors [1 ...].

    Returns:
        float64 [size size], of `size` numbers in the carry; a row for each number after the step.
    """
    size = sum(part.numel() for part in carry)
    # A copy of the row for each output, so that one backward pass gives all rows of the matrix.
    before = [part.detach().expand(size, *part.shape[1:]).clone() for part in carry]
    for part in before:
        part.requires_grad_()
    # The layer's own step; who watches the layer itself is not to see these.
    after = type(leaf).forward(leaf, step.expand(size, 1, -1), None, tuple(before)).carry
    chosen = torch.cat([part.flatten(1) for part in after], dim=1).diagonal().sum()
    found = torch.autograd.grad(chosen, before, allow_unused=True)
    rows = (
        torch.zeros_like(part) if one is None else one
        for one, part in zip(found, before, strict=True)
    )
    return torch.cat([row.flatten(1) for row in rows], dim=1).double()


def jacobians(trace: LayerRecord, steps: Tensor, lags: int) -> Jacobians | None:
    """Measures the Jacobians of the last steps of a few rows.

    Args:
        trace: of the layer.
        steps: the token of each row at which the lag is 0, -1 for none [batch].
        lags: the greatest lag; no more than 20 are measured.

    Returns:
        Means over the two rows that reach furthest; None for a layer that is too wide, or without a
        second step.
    """
    places = trace.places(steps)
    order = places.argsort(descending=True, stable=True)[:_ROWS].tolist()
    rows = [row for row in order if int(places[row]) > 0]
    if not rows or sum(part[:1].numel() for part in trace.carries[0]) > WIDEST:
        return None
    depth = min(lags, _LAGS, *(int(places[row]) for row in rows))
    measured = [_of_row(trace, row, int(places[row]), depth) for row in rows]
    steps_, products = (torch.tensor(part).mean(dim=0) for part in zip(*measured, strict=True))
    return Jacobians(steps_.tolist(), products.tolist())


def _of_row(
    trace: LayerRecord, row: int, place: int, depth: int
) -> tuple[list[float], list[float]]:
    norms, products, product = [], [1.0], None
    for step in range(place, place - depth, -1):
        carry = tuple(part[row : row + 1] for part in trace.carries[step])  # before this step
        one = step_jacobian(trace.leaf, trace.inputs[row, step], carry)
        product = one if product is None else product @ one
        norms.append(spectral_norm(one))
        products.append(spectral_norm(product))
    return norms, products


def spectral_norm(matrix: Tensor) -> float:
    """Gives the greatest singular value; NaN where a number is not finite."""
    if not bool(matrix.isfinite().all()):
        return float("nan")
    return float(torch.linalg.matrix_norm(matrix.detach().double(), 2))


def spectral_radius(matrix: Tensor) -> float:
    """Gives the greatest absolute value of an eigenvalue; NaN where a number is not finite."""
    if not bool(matrix.isfinite().all()):
        return float("nan")
    return float(torch.linalg.eigvals(matrix.detach().double().cpu()).abs().max())


def recurrent_blocks(leaf: RecurrentLayer) -> dict[str, Tensor]:
    """Gives the matrix from state to state of each gate, [hidden hidden].

    Returns:
        Name -> matrix; {} for a layer without such matrices, or with too wide ones.
    """
    weights = leaf.weights
    if weights.recurrent is None or weights.hidden_size > WIDEST:
        return {}
    blocks = weights.recurrent.chunk(len(weights.gates))
    return dict(zip(weights.gates, blocks, strict=True))


def bound(leaf: RecurrentLayer) -> float | None:
    """Gives beta_W * beta_h of a layer; None for a recurrence for which there is none."""
    blocks, slope = recurrent_blocks(leaf), leaf.slope_bound
    if slope is None or len(blocks) != 1:
        return None
    (matrix,) = blocks.values()
    return slope * spectral_norm(matrix)
