"""The nll of a softmax layer whose logits would not fit into memory, and its gradient, in pieces.

The gradient is computed with the loss, piece by piece, so that no logits are kept. The same on a
CPU and on a GPU: `torch.nn.functional.linear_cross_entropy` does as much, but only from torch 2.13
on, and its own choice of pieces is many times slower on a CPU.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import pieces


def summed_nll_in_pieces(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, dtype: torch.dtype
) -> Tensor:
    """Sums the nll of targets under softmax(weight state + bias).

    Args:
        states: [rows input].
        weight: [vocab input].
        bias: [vocab].
        targets: ids [rows]; those equal to `IGNORE_INDEX` count nothing.
        dtype: of the matrix products; the softmax and all sums are in float32 at least.

    Returns:
        A sum in nats, []. It cannot be differentiated twice.
    """
    with torch.autocast(states.device.type, enabled=False):
        nll: Tensor = _SummedNll.apply(states, weight, bias, targets, dtype)  # type: ignore[no-untyped-call]
    return nll


class _SummedNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        accurate = torch.promote_types(dtype, torch.float32)
        wanted = ctx.needs_input_grad
        to_states = torch.zeros_like(states) if wanted[0] else None
        to_weight = torch.zeros_like(weight, dtype=accurate) if wanted[1] else None
        to_bias = weight.new_zeros(len(weight), dtype=accurate) if wanted[2] else None
        rows, table = states.to(dtype), weight.to(dtype)
        offset = None if bias is None else bias.to(dtype)
        total = weight.new_zeros((), dtype=accurate)
        for piece in pieces(len(states), len(weight), accurate):
            part = rows[piece]
            log_probs = F.log_softmax(F.linear(part, table, offset), -1, dtype=accurate)
            of_pieces = targets[piece]
            total += F.nll_loss(log_probs, of_pieces, ignore_index=IGNORE_INDEX, reduction="sum")
            if not any(wanted[:3]):
                continue
            errors = _errors(log_probs, of_pieces)
            if to_bias is not None:
                to_bias += errors.sum(0)
            errors = errors.to(dtype)
            if to_states is not None:
                to_states[piece] = (errors @ table).to(states.dtype)
            if to_weight is not None and dtype == accurate:
                to_weight.addmm_(errors.t(), part)
            elif to_weight is not None:
                to_weight += errors.t() @ part
        ctx.save_for_backward(to_states, to_weight, to_bias)
        ctx.dtypes = weight.dtype, None if bias is None else bias.dtype
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # torch's `once_differentiable` would give a constant, silently
            raise RuntimeError("the loss of a softmax in pieces cannot be differentiated twice")
        to_states, to_weight, to_bias = ctx.saved_tensors
        weight_dtype, bias_dtype = ctx.dtypes
        return (
            None if to_states is None else (to_states * grad).to(to_states.dtype),
            None if to_weight is None else (to_weight * grad).to(weight_dtype),
            None if to_bias is None else (to_bias * grad).to(bias_dtype),
            None,
            None,
        )


def _errors(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Turns log-probabilities into the gradient of the nll to the logits, in place."""
    real = targets != IGNORE_INDEX
    errors = log_probs.exp_()
    errors[torch.arange(len(targets), device=targets.device), targets.where(real, 0)] -= 1
    return errors.index_fill_(0, torch.nonzero(~real).squeeze(1), 0)
