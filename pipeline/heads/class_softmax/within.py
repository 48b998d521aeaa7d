"""The nll of words given their classes, with its gradient, as one function for all classes.

Autograd would allocate a gradient of the size of the whole weight for each class.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pipeline.heads.base import without_autocast
from pipeline.heads.class_softmax.partition import Groups, Partition, group


def nll_within_classes(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, partition: Partition
) -> Tensor:
    """Sums the nll of targets [rows] given their classes, under a softmax over each class.

    States are [rows input], the weight [vocab input] in the order of ids, the bias [vocab]. Rows
    with `IGNORE_INDEX` have no loss. The sum is in nats, [], in float32 or float64. Autocast has no
    effect, since bfloat16 does not make such small products faster. The nll of a row is at most
    that of the smallest normal number (87 nats in float32); its gradient has no limit. The sum
    cannot be differentiated twice.
    """
    with without_autocast(states.device):
        nll: Tensor = _WithinClassNll.apply(states, weight, bias, targets, partition)  # type: ignore[no-untyped-call]
    return nll


class _WithinClassNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        partition: Partition,
    ) -> Tensor:
        groups = group(partition, targets)
        dtype = torch.promote_types(weight.dtype, torch.float32)
        rows = states[groups.rows].to(dtype)
        # The probabilities of a class are [rows size]; `flat` concatenates those of all classes.
        ends = groups.areas.cumsum(0)
        flat = rows.new_empty(sum(_areas(groups)))
        for ids, inputs, probs in _walk(partition, groups, rows, flat):
            part = weight[ids].to(dtype).t()
            if bias is None:
                torch.mm(inputs, part, out=probs)
            else:
                torch.addmm(bias[ids].to(dtype), inputs, part, out=probs)
            torch.softmax(probs, dim=-1, out=probs)
        index = ends - groups.areas + groups.places
        of_targets = flat[index]
        flat[index] = of_targets - 1  # now the gradient of the nll by the logits
        ctx.save_for_backward(flat, rows, weight)
        ctx.groups, ctx.partition = groups, partition
        ctx.num_rows, ctx.states_dtype = len(states), states.dtype
        ctx.bias_dtype = None if bias is None else bias.dtype
        return -of_targets.clamp_min(torch.finfo(dtype).tiny).log().sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("the loss of a class-based softmax cannot be differentiated twice")
        flat, rows, weight = ctx.saved_tensors
        groups, partition = ctx.groups, ctx.partition
        to_rows, to_weight = torch.empty_like(rows), _zero_where_unused(weight, groups, partition)
        to_bias = None
        if ctx.bias_dtype is not None:
            to_bias = torch.zeros(len(weight), dtype=ctx.bias_dtype, device=weight.device)
        walk = _walk(partition, groups, rows, flat * grad)
        for (ids, inputs, errors), area in zip(
            walk, to_rows.split_with_sizes(groups.counts), strict=True
        ):
            torch.mm(errors, weight[ids].to(rows.dtype), out=area)
            to_weight[ids] = errors.t().mm(inputs).to(weight.dtype)
            if to_bias is not None:
                to_bias[ids] = errors.sum(0).to(to_bias.dtype)
        to_states = rows.new_zeros(ctx.num_rows, rows.shape[1], dtype=ctx.states_dtype)
        to_states[groups.rows] = to_rows.to(to_states.dtype)
        return to_states, to_weight, to_bias, None, None


def _walk(
    partition: Partition, groups: Groups, rows: Tensor, flat: Tensor
) -> Iterator[tuple[slice | Tensor, Tensor, Tensor]]:
    """Yields ids, rows, and the part of `flat` [rows size] of each used class."""
    parts = zip(
        groups.used,
        rows.split_with_sizes(groups.counts),
        flat.split_with_sizes(_areas(groups)),
        groups.sizes,
        strict=True,
    )
    for number, inputs, area, size in parts:
        yield partition.members(number), inputs, area.view(-1, size)


def _areas(groups: Groups) -> list[int]:
    return [count * size for count, size in zip(groups.counts, groups.sizes, strict=True)]


def _zero_where_unused(weight: Tensor, groups: Groups, partition: Partition) -> Tensor:
    """Returns a gradient that is 0 for unused classes and uninitialized for used ones."""
    gradient = torch.empty_like(weight)
    used = set(groups.used)
    for number in range(len(partition.sizes)):
        if number not in used:
            gradient[partition.members(number)] = 0
    return gradient
