"""The nll of a softmax layer and its gradient on a GPU or another device.

The host never waits for the device, and the number of kernels does not depend on the data. The
gradient is computed together with the loss, so that logits and probabilities are not kept. With
autograd, cross entropy under autocast keeps the log-probabilities in float32 and allocates two more
float32 buffers of their size in the backward pass.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import chunks, fits_at_once, without_autocast


class Part(NamedTuple):
    """The nll of a chunk of rows and its gradients, in float32 or float64."""

    nll: Tensor  # []
    to_states: Tensor | None  # [rows input]
    to_weight: Tensor | None  # [outputs input]
    to_bias: Tensor | None  # [outputs]


def device_nll(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    dtype: torch.dtype,
    complete: bool = False,
    groups: Tensor | None = None,
) -> Tensor:
    """Sums the nll of targets [rows] under softmax(weight state + bias), in nats, [].

    States are [rows input], the weight is [outputs input], all on one device. Rows with
    `IGNORE_INDEX` have no loss; `complete` states that there are none. Given the group of each
    output, `groups` [outputs], the softmax is over the group of the target only. Matrix products
    use `dtype`; the softmax and all sums use float32 or float64. Logits of more than `LOGIT_BYTES`
    are computed in chunks. The sum cannot be differentiated twice.
    """
    if dtype == torch.float16 and fits_at_once(len(states), len(weight), dtype):
        # Errors would be too small for float16 without the scale of a loss scaler.
        return plain_nll(states, weight, bias, targets, groups)
    with without_autocast(states.device):
        nll: Tensor = _DeviceNll.apply(  # type: ignore[no-untyped-call]
            states, weight, bias, targets, dtype, complete, groups
        )
    return nll


def plain_nll(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    groups: Tensor | None = None,
) -> Tensor:
    """Computes `device_nll` with torch's cross entropy and autograd, which can be compiled."""
    logits = F.linear(states, weight, bias)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if groups is not None:
        logits = logits.masked_fill(in_other_group(groups, targets.clamp_min(0)), -math.inf)
    return F.cross_entropy(logits, targets, ignore_index=IGNORE_INDEX, reduction="sum")


def in_other_group(groups: Tensor, ids: Tensor) -> Tensor:
    """Returns whether an output is in another group than that of the row's id [rows outputs]."""
    return groups != groups.index_select(0, ids).unsqueeze(1)


class _DeviceNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        dtype: torch.dtype,
        complete: bool,
        groups: Tensor | None,
    ) -> Tensor:
        accurate = torch.promote_types(dtype, torch.float32)
        rows, table = states.to(dtype), weight.to(dtype)
        offset = None if bias is None else bias.to(dtype)
        total = to_weight = to_bias = None
        of_states: list[Tensor] = []
        for chunk in chunks(len(rows), len(table), accurate):
            of_chunk = targets[chunk]
            part = _part(
                rows[chunk], table, offset, of_chunk, complete, groups, ctx.needs_input_grad
            )
            total = _plus(total, part.nll)
            to_weight = _plus(to_weight, part.to_weight)
            to_bias = _plus(to_bias, part.to_bias)
            if part.to_states is not None:
                of_states.append(part.to_states)
        to_states = torch.cat(of_states) if len(of_states) > 1 else (*of_states, None)[0]
        ctx.save_for_backward(to_states, to_weight, to_bias)
        ctx.dtypes = states.dtype, weight.dtype, None if bias is None else bias.dtype
        assert total is not None  # there is at least one chunk
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("the loss of a softmax on a device cannot be differentiated twice")
        found = (
            None if gradient is None else (gradient * grad).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return *found, None, None, None, None


def _part(
    rows: Tensor,
    table: Tensor,
    offset: Tensor | None,
    targets: Tensor,
    complete: bool,
    groups: Tensor | None,
    wanted: tuple[bool, ...],
) -> Part:
    accurate = torch.promote_types(rows.dtype, torch.float32)
    ids = targets if complete else targets.clamp_min(0)
    logits = F.linear(rows, table, offset)
    if groups is not None:
        logits.masked_fill_(in_other_group(groups, ids), -math.inf)
    log_probs = F.log_softmax(logits, -1, dtype=accurate)
    del logits
    nll = F.nll_loss(log_probs, targets, ignore_index=IGNORE_INDEX, reduction="sum")
    if not any(wanted[:3]):
        return Part(nll, None, None, None)
    # The gradient of the nll by the logits: probabilities, less 1 at the targets.
    of_targets = log_probs.gather(1, ids.unsqueeze(1)).expm1().to(rows.dtype)
    kept = (
        log_probs
        if accurate == rows.dtype
        else log_probs.new_empty(log_probs.shape, dtype=rows.dtype)
    )
    errors = torch.exp(log_probs, out=kept)
    del log_probs
    errors.scatter_(1, ids.unsqueeze(1), of_targets)
    if not complete:
        errors.masked_fill_((targets == IGNORE_INDEX).unsqueeze(1), 0)
    return Part(
        nll,
        _product(errors, table, accurate) if wanted[0] else None,
        _product(errors.t(), rows, accurate) if wanted[1] else None,
        errors.sum(0, dtype=accurate) if wanted[2] else None,
    )


def _product(one: Tensor, other: Tensor, dtype: torch.dtype) -> Tensor:
    """Computes one @ other in `dtype`; on CUDA without rounding to the arguments' data type.

    Rounding again after a product with the gradient of the loss would change the length of every
    gradient by up to 0.4 % in bfloat16.
    """
    if one.device.type == "cuda" and one.dtype != dtype:
        return torch.mm(one, other, out_dtype=dtype)
    return (one @ other).to(dtype)


def _plus(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if total is None or part is None else total.add_(part)
