"""The nll of a softmax layer and its gradient on a CPU, with one buffer for the logits.

The logits of 700 tokens over 10,000 words take 28 MB in float32 and 14 MB in bfloat16, far more
than anything else in a training step. Reading and writing them (and the page faults of new buffers)
takes as long as the arithmetic. Autograd allocates three such buffers, this function one: the
probabilities overwrite the logits, and the gradient overwrites the probabilities of the targets.
`benchmarks/output_layers.py` measures the difference.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import fits_at_once, on_device
from pipeline.heads.full.bfloat16 import bfloat16_nll
from pipeline.heads.full.chunked import chunked_nll
from pipeline.heads.full.errors import nll_and_errors
from pipeline.heads.full.on_device import device_nll, plain_nll

# float16 is left out: its smallest normal number, e^-9.7, would limit the nll of a row to 9.7.
_FUSED = (torch.bfloat16, torch.float32, torch.float64)


def softmax_nll(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    complete: bool = False,
) -> Tensor:
    """Sums the nll of targets [rows], in nats, [], with the fastest function for this device.

    States are [rows input], the weight is [outputs input]; targets are on the same device. Rows
    with `IGNORE_INDEX` have no loss; `complete` states that there are none.
    """
    if torch.compiler.is_compiling():
        return plain_nll(states, weight, bias, targets)
    dtype = product_dtype(states, weight)
    if on_device(states):
        return device_nll(states, weight, bias, targets, dtype, complete)
    if not fits_at_once(len(states), len(weight), dtype):
        return chunked_nll(states, weight, bias, targets, dtype)
    if dtype in _FUSED:
        return fused_nll(states, weight, bias, targets, dtype)
    return F.cross_entropy(
        F.linear(states, weight, bias), targets, ignore_index=IGNORE_INDEX, reduction="sum"
    )


def fused_nll(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, dtype: torch.dtype
) -> Tensor:
    """Sums the nll of targets [rows] under softmax(weight state + bias), in nats, [].

    States are [rows input] and the weight is [vocab input]. Rows with `IGNORE_INDEX` have no loss.
    Matrix products, and the probabilities kept for the gradient, use `dtype`. The softmax and the
    sum of its logarithms use float32 or float64. The nll of a row is at most that of the smallest
    normal number of `dtype` (87 nats in float32 and bfloat16); its gradient has no limit. The sum
    cannot be differentiated twice.
    """
    if dtype == torch.bfloat16:
        return bfloat16_nll(states, weight, bias, targets)
    nll: Tensor = _FusedNll.apply(states, weight, bias, targets, dtype)  # type: ignore[no-untyped-call]
    return nll


class _FusedNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.dtypes = states.dtype, weight.dtype
        ctx.bias_dtype = None if bias is None else bias.dtype
        states, weight = states.to(dtype), weight.to(dtype)
        logits = F.linear(states, weight, None if bias is None else bias.to(dtype))
        nll = nll_and_errors(logits, targets)
        ctx.save_for_backward(logits, states, weight)
        return nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
            raise RuntimeError("the loss of a softmax on a CPU cannot be differentiated twice")
        to_logits, states, weight = ctx.saved_tensors
        states_dtype, weight_dtype = ctx.dtypes
        to_states = to_weight = to_bias = None
        scale, none = grad.item(), to_logits.new_zeros(())
        if ctx.needs_input_grad[0]:
            to_states = torch.addmm(none, to_logits, weight, beta=0, alpha=scale).to(states_dtype)
        if ctx.needs_input_grad[1]:
            to_weight = torch.addmm(none, to_logits.t(), states, beta=0, alpha=scale)
            to_weight = to_weight.to(weight_dtype)
        if ctx.needs_input_grad[2]:
            to_bias = to_logits.sum(0).to(ctx.bias_dtype).mul_(scale)
        return to_states, to_weight, to_bias, None, None


def product_dtype(states: Tensor, weight: Tensor) -> torch.dtype:
    """Returns the data type in which torch would compute this linear layer."""
    device = states.device.type
    if not torch.amp.is_autocast_available(device):  # as on the meta device
        return weight.dtype
    if torch.is_autocast_enabled(device) and weight.dtype == torch.float32:
        return torch.get_autocast_dtype(device)
    return weight.dtype
