"""Elementwise linear recurrences over all steps, as one node of the autograd graph."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.encoders.base import refuse_second_derivatives

# Measured on one thread of a shared CPU in float32, states and gradient, loop / chunks, in ms, for
# 64, 1,000 and 4,000 numbers per step: 35 steps 0.18 / 0.18, 0.19 / 0.22, 0.26 / 1.3; 200 steps
# 1.0 / 0.42, 1.2 / 0.77, 3.4 / 7.8; 1,000 steps 9.6 / 1.3, 7.2 / 4.2, 22 / 59. With few numbers
# the overhead of calls dominates; with many, chunks lose because they read everything twice. (A
# scan in log2(1000) = 10 rounds takes 14 times the loop's time at 4,000 numbers.)
_FEW_NUMBERS = 1000
_MANY_STEPS = 64


def linear_scan(
    decay: Float[Tensor, "batch time hidden"],
    drive: Float[Tensor, "batch time hidden"],
    start: Float[Tensor, "batch hidden"],
) -> Float[Tensor, "batch time hidden"]:
    r"""Computes all states of an elementwise linear recurrence.

    .. math:: h_t = a_t \circ h_{t-1} + b_t

    The gradient is the same recurrence in reverse: it takes the time of the states and keeps two
    tensors of their size. Steps are composed as affine maps (Blelloch 1990, "Prefix sums and their
    applications", section 1.4). Products of decays in [0, 1] can only underflow to 0, harmlessly.

    Args:
        decay: Coefficients a.
        drive: Coefficients b.
        start: State h before the first step.

    Returns:
        The states h, in float32 or higher; sums over many steps would be inexact in bfloat16.

    Raises:
        ValueError: If there is no step, or the shapes do not fit each other.

    Example:
        >>> import torch
        >>> half, ones = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
        >>> linear_scan(half, ones, torch.zeros(1, 1)).flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """
    batch, time, hidden = drive.shape
    if time == 0 or decay.shape != drive.shape or start.shape != (batch, hidden):
        raise ValueError(
            "linear_scan expects decay and drive [batch time hidden] with a step in them and start "
            f"[batch hidden], got {list(decay.shape)}, {list(drive.shape)} and {list(start.shape)}"
        )
    dtype = torch.promote_types(decay.dtype, torch.promote_types(drive.dtype, start.dtype))
    dtype = torch.promote_types(dtype, torch.float32)
    operands = (decay.to(dtype), drive.to(dtype), start.to(dtype))
    if torch.compiler.is_compiling():
        return _differentiable(*operands)
    states: Tensor = _LinearScan.apply(*operands)  # type: ignore[no-untyped-call]
    return states


def _differentiable(decay: Tensor, drive: Tensor, state: Tensor) -> Tensor:
    """Computes the states for torch's compiler, which refuses writes into views of a tensor."""
    states = []
    for factor, term in zip(decay.unbind(1), drive.unbind(1), strict=True):
        state = torch.addcmul(term, factor, state)
        states.append(state)
    return torch.stack(states, dim=1)


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:  # noqa: ANN401
        states = _scan(decay, drive, start)
        ctx.save_for_backward(decay, states, start)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        refuse_second_derivatives("linear_scan")
        decay, states, start = ctx.saved_tensors
        total = _scan_back(decay, gradient)
        of_decay = torch.empty_like(total)
        torch.mul(total[:, 0], start, out=of_decay[:, 0])
        torch.mul(total[:, 1:], states[:, :-1], out=of_decay[:, 1:])
        return of_decay, total, total[:, 0] * decay[:, 0]


def _scan(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    states = torch.empty_like(drive, memory_format=torch.contiguous_format)
    if _in_chunks(drive):
        _run_chunks(decay, drive, start, states)
    else:
        _run(decay.unbind(1), drive.unbind(1), start, states.unbind(1))
    return states


def _scan_back(decay: Tensor, gradient: Tensor) -> Tensor:
    """Computes the total gradient of each state: g_t = gradient_t + a_(t+1) g_(t+1)."""
    total = torch.empty_like(gradient, memory_format=torch.contiguous_format)
    total[:, -1] = gradient[:, -1]
    if _in_chunks(gradient):
        mirrored = gradient.new_empty(gradient[:, 1:].shape)
        _run_chunks(decay[:, 1:].flip(1), gradient[:, :-1].flip(1), gradient[:, -1], mirrored)
        total[:, :-1] = mirrored.flip(1)
    else:
        decays, drives, totals = decay.unbind(1), gradient.unbind(1), total.unbind(1)
        _run(decays[:0:-1], drives[-2::-1], totals[-1], totals[-2::-1])
    return total


def _in_chunks(drive: Tensor) -> bool:
    batch, time, hidden = drive.shape
    if time < 2:
        return False
    # On a GPU the overhead of calls dominates.
    return drive.is_cuda or (batch * hidden < _FEW_NUMBERS and time >= _MANY_STEPS)


def _run(
    decays: tuple[Tensor, ...],
    drives: tuple[Tensor, ...],
    state: Tensor,
    states: tuple[Tensor, ...],
) -> None:
    """Computes the states of steps [batch hidden] one by one, into `states`."""
    for decay, drive, target in zip(decays, drives, states, strict=True):
        state = torch.addcmul(drive, decay, state, out=target)


def _run_chunks(decay: Tensor, drive: Tensor, start: Tensor, states: Tensor) -> None:
    """Computes the states of all steps into `states`, in about 2 sqrt(3 time) calls.

    Each chunk but the last is composed to one affine map, all chunks at once. These maps give the
    first state of each chunk, one by one. Then all chunks run at once.
    """
    batch, time, hidden = drive.shape
    # The length that minimizes 3 calls per step of a chunk plus one call per chunk.
    length = max(1, round(math.sqrt(time / 3)))
    composed = (time - 1) // length
    starts = drive.new_empty(batch, composed + 1, hidden)
    starts[:, 0] = start
    if composed:
        product, total = _compose(decay, drive, length, composed)
        begins = starts.unbind(1)
        _run(product.unbind(1), total.unbind(1), begins[0], begins[1:])
    before = starts
    for step in range(length):
        # The last chunk may be shorter.
        target = states[:, step::length]
        count = target.shape[1]
        torch.addcmul(drive[:, step::length], decay[:, step::length], before[:, :count], out=target)
        before = target


def _compose(decay: Tensor, drive: Tensor, length: int, count: int) -> tuple[Tensor, Tensor]:
    """Returns product and total of h -> product * h + total, [batch count hidden], per chunk."""
    product = decay[:, ::length][:, :count].clone()
    total = drive[:, ::length][:, :count].clone()
    for step in range(1, length):
        factor = decay[:, step::length][:, :count]
        product *= factor
        torch.addcmul(drive[:, step::length][:, :count], factor, total, out=total)
    return product, total
