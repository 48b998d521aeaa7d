"""The nll of a softmax layer and its gradient in bfloat16 products on a CPU.

The bias is a column of the weight matrix, next to a column of ones in the states. Otherwise oneDNN
writes the bias into all logits before the product and reads it again, and the gradient of the bias
is a sum over all logits.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.heads.full.errors import nll_and_errors

_COLUMNS = 16  # the width of the matrices is a multiple of it; products of other widths are slower


def bfloat16_nll(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Does the same as `fused_nll` with bfloat16 products, also for states and weights in float32.

    The bias is rounded to bfloat16 and added within the product, before the logits are rounded.
    """
    nll: Tensor = _Bfloat16Nll.apply(states, weight, bias, targets)  # type: ignore[no-untyped-call]
    return nll


class _Bfloat16Nll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
    ) -> Tensor:
        ctx.dtypes = states.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.size = states.shape[1]
        if bias is None:
            rows, table = states.to(torch.bfloat16), weight.to(torch.bfloat16)
        else:
            rows, table = _with_bias(states, weight, bias)
        errors = rows @ table.t()
        nll = nll_and_errors(errors, targets)
        ctx.save_for_backward(errors, rows, table)
        return nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("the loss of a softmax on a CPU cannot be differentiated twice")
        errors, rows, table = ctx.saved_tensors
        states_dtype, weight_dtype, bias_dtype = ctx.dtypes
        wanted, size = ctx.needs_input_grad, ctx.size
        to_states = to_weight = to_bias = None
        # `addmm` scales by alpha before rounding. Scaling rounded numbers, or with a rounded
        # factor, would change the length of every gradient by up to 0.4 %.
        scale, none = grad.item(), errors.new_zeros(())
        if wanted[0]:
            to_states = torch.addmm(none, errors, table[:, :size], beta=0, alpha=scale)
            to_states = to_states.to(states_dtype)
        if wanted[1] or wanted[2]:
            to_table = torch.addmm(none, errors.t(), rows, beta=0, alpha=scale)
            to_weight = to_table[:, :size].to(weight_dtype) if wanted[1] else None
            to_bias = to_table[:, size].to(bias_dtype) if wanted[2] else None
        return to_states, to_weight, to_bias, None


def _with_bias(states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Returns matrices [rows width] and [outputs width] whose product includes the bias."""
    size = states.shape[1]
    width = (size // _COLUMNS + 1) * _COLUMNS
    rows = states.new_zeros(len(states), width, dtype=torch.bfloat16)
    rows[:, :size] = states
    rows[:, size] = 1
    table = weight.new_empty(len(weight), width, dtype=torch.bfloat16)
    table[:, :size] = weight
    table[:, size] = bias
    table[:, size + 1 :] = 0
    return rows, table
