"""The nll of paths through a tree and its gradient on a GPU or another device.

Paths are padded to the depth of the tree, so that the host never waits for the device and the
number of kernels does not depend on the data. The gradient is computed together with the loss,
because it needs the same rows of the weight.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.heads.base import chunks, without_autocast


def device_path_nll(
    states: Tensor, weight: Tensor, bias: Tensor | None, nodes: Tensor, signs: Tensor
) -> Tensor:
    """Sums -log sigmoid(sign (weight state + bias)) over nodes with a sign, in nats, [].

    States are [rows input], the weight is [inner input]; nodes and signs are [rows depth], and a
    sign of 0 means no decision. The sum is in float32 or float64. Autocast has no effect. The sum
    cannot be differentiated twice.
    """
    with without_autocast(states.device):
        nll: Tensor = _DevicePathNll.apply(states, weight, bias, nodes, signs)  # type: ignore[no-untyped-call]
    return nll


def padded_scores(
    states: Tensor, weight: Tensor, bias: Tensor | None, nodes: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns weight state + bias of each node [rows depth], and the weights [rows depth input].

    Both are in float32 or float64.
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with without_autocast(states.device):
        vectors = F.embedding(nodes, weight).to(dtype)
        scores = torch.bmm(vectors, states.to(dtype).unsqueeze(2)).squeeze(2)
    return scores if bias is None else scores + F.embedding(nodes, bias.unsqueeze(1)).squeeze(
        2
    ), vectors


class _DevicePathNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        nodes: Tensor,
        signs: Tensor,
    ) -> Tensor:
        dtype, wanted = torch.promote_types(weight.dtype, torch.float32), ctx.needs_input_grad
        to_states = torch.empty_like(states, dtype=dtype) if wanted[0] else None
        to_weight = torch.zeros_like(weight, dtype=dtype) if wanted[1] else None
        to_bias = weight.new_zeros(len(weight), dtype=dtype) if wanted[2] else None
        total = weight.new_zeros((), dtype=dtype)
        for chunk in chunks(len(states), nodes.shape[1] * states.shape[1], dtype):
            rows, of_chunk, sign = states[chunk].to(dtype), nodes[chunk], signs[chunk]
            scores, vectors = padded_scores(rows, weight, bias, of_chunk)
            away = -sign  # the other child, or 0 where there is no decision
            margins = scores * away
            total += (F.softplus(margins) * sign.abs()).sum()
            errors = torch.sigmoid(margins) * away
            if to_states is not None:
                to_states[chunk] = torch.bmm(errors.unsqueeze(1), vectors).squeeze(1)
            index = of_chunk.flatten()
            if to_weight is not None:
                outer = errors.unsqueeze(2) * rows.unsqueeze(1)
                to_weight.index_add_(0, index, outer.flatten(0, 1))
            if to_bias is not None:
                to_bias.index_add_(0, index, errors.flatten())
        ctx.save_for_backward(to_states, to_weight, to_bias)
        ctx.dtypes = states.dtype, weight.dtype, None if bias is None else bias.dtype
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("the loss of a hierarchical softmax cannot be differentiated twice")
        found = (
            None if gradient is None else (gradient * grad).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return *found, None, None
