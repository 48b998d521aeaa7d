"""The nll of a softmax layer and its gradient in chunks, for logits that do not fit into memory.

The gradient is computed together with the loss, chunk by chunk, so that no logits are kept. It is
used on a CPU; `on_device` has its own chunks. `torch.nn.functional.linear_cross_entropy` does the
same from torch 2.13 on, but its choice of chunks is many times slower on a CPU.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import chunks, without_autocast


def chunked_nll(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, dtype: torch.dtype
) -> Tensor:
    """Sums the nll of targets [rows] under softmax(weight state + bias), in nats, [].

    States are [rows input] and the weight is [vocab input]. Rows with `IGNORE_INDEX` have no loss.
    Matrix products use `dtype`; the softmax and all sums use float32 or float64. The sum cannot be
    differentiated twice.
    """
    with without_autocast(states.device):
        nll: Tensor = _ChunkedNll.apply(states, weight, bias, targets, dtype)  # type: ignore[no-untyped-call]
    return nll


class _ChunkedNll(torch.autograd.Function):
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
        for chunk in chunks(len(states), len(weight), accurate):
            part = rows[chunk]
            log_probs = F.log_softmax(F.linear(part, table, offset), -1, dtype=accurate)
            of_chunk = targets[chunk]
            total += F.nll_loss(log_probs, of_chunk, ignore_index=IGNORE_INDEX, reduction="sum")
            if not any(wanted[:3]):
                continue
            errors = _errors(log_probs, of_chunk)
            if to_bias is not None:
                to_bias += errors.sum(0)
            errors = errors.to(dtype)
            if to_states is not None:
                to_states[chunk] = (errors @ table).to(states.dtype)
            if to_weight is not None and dtype == accurate:
                to_weight.addmm_(errors.t(), part)
            elif to_weight is not None:
                to_weight += errors.t() @ part
        ctx.save_for_backward(to_states, to_weight, to_bias)
        ctx.dtypes = weight.dtype, None if bias is None else bias.dtype
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("the loss of a chunked softmax cannot be differentiated twice")
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
    """Turns log-probabilities into the gradient of the nll by the logits, in place."""
    real = targets != IGNORE_INDEX
    errors = log_probs.exp_()
    errors[torch.arange(len(targets), device=targets.device), targets.where(real, 0)] -= 1
    return errors.index_fill_(0, torch.nonzero(~real).squeeze(1), 0)
