"""All steps of a GRU on a CPU, as one node of the autograd graph.

torch's own CPU kernel adds 14 autograd nodes per step and computes padding too. Here a forward step
takes six calls and a backward step four, over the rows that have not ended.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.encoders.base import Encoded, refuse_second_derivatives
from pipeline.encoders.kernels.rows import encode_rows, states_before
from pipeline.encoders.layers.weights import RecurrentWeights

# Time of `gru_steps` divided by torch's time, in training: 1.4 at one step, 1 at five and 0.9 at 35
# (20 x 200 and 20 x 650 numbers, float32, one thread, processor time). Without a gradient: 1.03 to
# 1.09 for full rows, and 0.83 to 0.99 if a quarter is padding.
_ENOUGH_STEPS = 6
_MUCH_PADDING = 0.25


def steps_pay(inputs: Tensor, lengths: Tensor | None) -> bool:
    """Returns True if `encode_gru` can be used and is faster than torch's kernel.

    Under autocast torch multiplies in bfloat16, which is faster still. While torch compiles or
    exports, the numbers of rows of each step are unknown.
    """
    if (
        inputs.device.type != "cpu"
        or torch.compiler.is_compiling()
        or torch.is_autocast_enabled("cpu")
        or inputs.dtype not in (torch.float32, torch.float64)
        or inputs.shape[1] < _ENOUGH_STEPS
    ):
        return False
    if torch.is_grad_enabled() or lengths is None:
        return torch.is_grad_enabled()
    return int(lengths.sum()) < (1 - _MUCH_PADDING) * inputs.shape[0] * inputs.shape[1]


def encode_gru(
    inputs: Tensor, lengths: Tensor | None, start: Tensor, weights: RecurrentWeights
) -> Encoded:
    """Encodes rows as `encode_rows`, by a GRU with the reset gate after the product."""
    return encode_rows(inputs, lengths, start, weights, gru_steps)


def gru_steps(
    projected: Float[Tensor, "steps gates_hidden"],
    counts: list[int],
    start: Float[Tensor, "batch hidden"],
    matrix: Float[Tensor, "gates_hidden hidden"],
    bias: Float[Tensor, "gates_hidden"],
) -> tuple[Float[Tensor, "steps hidden"], Float[Tensor, "batch hidden"]]:
    r"""Runs a GRU whose reset gate acts after the product, as `GRUCell` with reset "after".

    .. math::
        r, u = \sigma(p_{r,u} + U_{r,u} h + b_{r,u}), \quad m = U_c h + b_c

        c = \tanh(p_c + r \circ m), \quad h' = c + u \circ (h - c)

    `projected` is the input part p = W x + b' of reset, update and candidate: the rows of the first
    step, then those of the second, and so on. Rows are sorted from long to short; `counts` is their
    number at each step. Returns the states after each step, in that order, and those after the last
    step of each row.
    """
    states: Tensor
    final: Tensor
    states, final = _Steps.apply(projected, counts, start, matrix, bias)  # type: ignore[no-untyped-call]
    return states, final


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        projected: Tensor,
        counts: list[int],
        start: Tensor,
        matrix: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        gates, candidates, states, final = _run(projected, counts, start, matrix, bias)
        ctx.save_for_backward(gates, candidates, states, start, matrix)
        ctx.counts = counts
        return states, final

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        of_states: Tensor,
        of_final: Tensor,
    ) -> tuple[Tensor, None, Tensor, Tensor, Tensor]:
        refuse_second_derivatives("the GRU kernel for CPUs")
        gates, candidates, states, start, matrix = ctx.saved_tensors
        before = states_before(states, start, ctx.counts)
        reset, update, product = gates.chunk(3, dim=1)
        # The derivative of h' by each pre-activation; times the gradient of h' it is the gradient.
        slopes = torch.empty_like(gates)
        of_reset, of_update, of_product = slopes.chunk(3, dim=1)
        of_candidate = (1 - update) * (1 - candidates * candidates)
        torch.mul((before - candidates) * update, 1 - update, out=of_update)
        torch.mul(of_candidate, reset, out=of_product)
        torch.mul(of_product * (1 - reset), product, out=of_reset)
        sums, totals, of_start = _run_back(slopes, update, of_states, of_final, matrix, ctx.counts)
        of_projected = sums.clone()
        torch.mul(totals, of_candidate, out=of_projected.chunk(3, dim=1)[2])
        return of_projected, None, of_start, sums.t() @ before, sums.sum(0)


def _run(
    projected: Tensor, counts: list[int], start: Tensor, matrix: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns r, u and m concatenated, the candidates, the states and each row's last state."""
    steps, hidden = len(projected), start.shape[1]
    gates = projected.new_empty(steps, 3 * hidden)
    candidates, states = (projected.new_empty(steps, hidden) for _ in range(2))
    views = zip(
        torch.split(projected.narrow(1, 0, 2 * hidden), counts),
        torch.split(projected.narrow(1, 2 * hidden, hidden), counts),
        torch.split(gates, counts),
        torch.split(gates.narrow(1, 0, 2 * hidden), counts),
        *(torch.split(gate, counts) for gate in gates.chunk(3, dim=1)),
        torch.split(candidates, counts),
        torch.split(states, counts),
        strict=True,
    )
    transposed, state, final = matrix.t(), start, start.clone()
    for given, content, all_three, sigmoids, reset, update, product, candidate, after in views:
        if len(state) > len(after):
            final[len(after) : len(state)] = state[len(after) :]
            state = state[: len(after)]
        torch.addmm(bias, state, transposed, out=all_three)
        sigmoids.add_(given).sigmoid_()
        torch.addcmul(content, reset, product, out=candidate).tanh_()
        state = torch.lerp(candidate, state, update, out=after)
    final[: len(state)] = state
    return gates, candidates, states, final


def _run_back(
    slopes: Tensor,
    update: Tensor,
    of_states: Tensor,
    of_final: Tensor,
    matrix: Tensor,
    counts: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of the pre-activations of r, u and m, of each h' and of `start`."""
    steps, hidden = of_states.shape
    sums = torch.empty_like(slopes)
    totals = of_states.new_empty(steps, hidden)
    views = zip(
        torch.split(slopes.view(steps, 3, hidden), counts),
        torch.split(update, counts),
        torch.split(of_states, counts),
        torch.split(sums, counts),
        torch.split(sums.view(steps, 3, hidden), counts),
        torch.split(totals, counts),
        strict=True,
    )
    running = of_final.clone()
    for slope, keep, given, flat, nested, total in reversed(list(views)):
        rows = running[: len(given)]
        torch.add(rows, given, out=total)
        torch.mul(total.unsqueeze(1), slope, out=nested)
        torch.mul(total, keep, out=rows)
        rows.addmm_(flat, matrix)
    return sums, totals, running
