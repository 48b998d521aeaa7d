r"""Jacobians from state to state, their products, and the bound of their norms.

.. math::
    \left\| \frac{\partial h_t}{\partial h_k} \right\|
    = \left\| \prod_{j=k+1}^t \frac{\partial h_j}{\partial h_{j-1}} \right\|
    \le (\beta_W \beta_h)^{t-k}

(Bengio et al. 1994; Pascanu et al. 2013, arXiv 1211.5063, equations 5-7.) Norms are spectral.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.analysis.gradients.recording import LayerRecord
from pipeline.encoders import Carry
from pipeline.encoders.layers.base import RecurrentLayer

WIDEST = 1024
"""Maximum number of values in a carry; Jacobians are quadratic in it."""
_ROWS, _LAGS = 2, 20


class Jacobians(NamedTuple):
    """Norms of the Jacobians of one layer's whole carry, mean over rows."""

    steps: list[float]  # of each single step, the last first
    products: list[float]  # by lag, of the product of that many steps; 1 at lag 0


@torch.enable_grad()
def step_jacobian(layer: RecurrentLayer, step: Tensor, carry: Carry) -> Tensor:
    """Differentiates the carry after a step, with input [input], by the carry before it.

    The carry is that of one row: flat tensors [1 ...] with `size` values. The result is float64
    [size size]; rows are outputs.
    """
    size = sum(part.numel() for part in carry)
    # One copy of the row per output, so that one backward pass gives all rows of the Jacobian.
    before = [part.detach().expand(size, *part.shape[1:]).clone() for part in carry]
    for part in before:
        part.requires_grad_()
    # The method of the class: `record_steps` replaces that of the instance.
    after = type(layer).forward(layer, step.expand(size, 1, -1), None, tuple(before)).carry
    chosen = torch.cat([part.flatten(1) for part in after], dim=1).diagonal().sum()
    found = torch.autograd.grad(chosen, before, allow_unused=True)
    rows = (
        torch.zeros_like(part) if one is None else one
        for one, part in zip(found, before, strict=True)
    )
    return torch.cat([row.flatten(1) for row in rows], dim=1).double()


def jacobians(record: LayerRecord, steps: Tensor, lags: int) -> Jacobians | None:
    """Computes the norms of the Jacobians of at most the last 20 steps of the two longest rows.

    `steps` is the index of the token at lag 0 of each row, -1 for none [batch]. Returns means over
    the rows; None for a layer that is too wide or has only one step.
    """
    positions = record.positions(steps)
    order = positions.argsort(descending=True, stable=True)[:_ROWS].tolist()
    rows = [row for row in order if int(positions[row]) > 0]
    if not rows or sum(part[:1].numel() for part in record.carries[0]) > WIDEST:
        return None
    depth = min(lags, _LAGS, *(int(positions[row]) for row in rows))
    measured = [_of_row(record, row, int(positions[row]), depth) for row in rows]
    steps_, products = (torch.tensor(part).mean(dim=0) for part in zip(*measured, strict=True))
    return Jacobians(steps_.tolist(), products.tolist())


def _of_row(
    record: LayerRecord, row: int, position: int, depth: int
) -> tuple[list[float], list[float]]:
    norms, products, product = [], [1.0], None
    for step in range(position, position - depth, -1):
        carry = tuple(part[row : row + 1] for part in record.carries[step])  # before this step
        one = step_jacobian(record.layer, record.inputs[row, step], carry)
        product = one if product is None else product @ one
        norms.append(spectral_norm(one))
        products.append(spectral_norm(product))
    return norms, products


def spectral_norm(matrix: Tensor) -> float:
    """Returns the largest singular value; NaN if a value is not finite."""
    is_finite = bool(matrix.isfinite().all())
    return float(torch.linalg.matrix_norm(matrix.detach().double(), 2)) if is_finite else math.nan


def spectral_radius(matrix: Tensor) -> float:
    """Returns the largest absolute eigenvalue; NaN if a value is not finite."""
    if not bool(matrix.isfinite().all()):
        return math.nan
    return float(torch.linalg.eigvals(matrix.detach().double().cpu()).abs().max())


def recurrent_blocks(layer: RecurrentLayer) -> dict[str, Tensor]:
    """Returns gate name -> recurrent matrix [hidden hidden]; {} without matrices or if too wide."""
    weights = layer.weights
    if weights.recurrent is None or weights.hidden_size > WIDEST:
        return {}
    blocks = weights.recurrent.chunk(len(weights.gates))
    return dict(zip(weights.gates, blocks, strict=True))


def bound(layer: RecurrentLayer) -> float | None:
    """Returns beta_W * beta_h of a layer; None if the recurrence has no such bound."""
    blocks, slope = recurrent_blocks(layer), layer.slope_bound
    if slope is None or len(blocks) != 1:
        return None
    (matrix,) = blocks.values()
    return slope * spectral_norm(matrix)
