"""All steps of a GRU on a CPU, without a graph of its steps.

torch's own CPU kernel leaves 14 nodes a step to autograd and computes padding as well. Here a step
forward is six calls and a step back four, over the rows that are still running.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.encoders.base import refuse_second_derivatives


def gru_steps(
    projected: Float[Tensor, "steps gates_hidden"],
    counts: list[int],
    start: Float[Tensor, "batch hidden"],
    matrix: Float[Tensor, "gates_hidden hidden"],
    bias: Float[Tensor, "gates_hidden"],
) -> tuple[Float[Tensor, "steps hidden"], Float[Tensor, "batch hidden"]]:
    r"""Runs a GRU whose reset gate acts after the product, as `GRUCell` with "after" has it.

    .. math::
        r, u = \sigma(p_{r,u} + U_{r,u} h + b_{r,u}), \quad m = U_c h + b_c

        c = \tanh(p_c + r \circ m), \quad h' = c + u \circ (h - c)

    Args:
        projected: p = W x + b' of reset, update and candidate, the rows of the first step, then
            those of the second, and so on. Longer rows come first, so that those still running at
            a step are the first ones.
        counts: how many rows run at each step, never more than before; they sum to `steps`.
        start: h before the first step; of a row without steps as well.
        matrix: U.
        bias: b, and b_c.

    Returns:
        h after each step, laid out as `projected`, and h after the last step of each row.
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
        refuse_second_derivatives("a GRU's own steps on a CPU")
        gates, candidates, states, start, matrix = ctx.saved_tensors
        before = _before(states, start, ctx.counts)
        reset, update, product = gates.chunk(3, dim=1)
        # How each sum inside a gate changes h', and so, times the gradient of h', its gradient.
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
    """Returns r, u and m side by side, the candidates, the states and each row's last state."""
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


def _before(states: Tensor, start: Tensor, counts: list[int]) -> Tensor:
    """The state before each step, laid out as `states`."""
    pieces = zip((start, *torch.split(states, counts)), counts, strict=False)
    return torch.cat([start[:0], *(piece[:count] for piece, count in pieces)])


def _run_back(
    slopes: Tensor,
    update: Tensor,
    of_states: Tensor,
    of_final: Tensor,
    matrix: Tensor,
    counts: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of r's, u's and m's sums, of every h' in all, and of the start."""
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
