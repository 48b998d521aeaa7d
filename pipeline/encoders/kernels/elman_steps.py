"""All steps of a simple recurrent network on a CPU, without a gradient.

torch's own CPU kernel allocates the results of five calls per step and computes padding too. Here a
step takes two calls in place, over the rows that have not ended. Time of a step relative to torch's
kernel, 100 features, one thread, processor time: 0.5 for 64 rows in float32 and 0.7 in bfloat16,
0.4 for 300 rows in float32 and 0.5 in bfloat16.
"""

from functools import partial
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.encoders.base import Encoded
from pipeline.encoders.kernels.rows import encode_rows
from pipeline.encoders.layers.weights import RecurrentWeights

Nonlinearity: TypeAlias = Literal["tanh", "relu"]

_ENOUGH_STEPS = 4  # below, torch's kernel is as fast
_DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def elman_steps_pay(inputs: Tensor) -> bool:
    """Returns True if `encode_elman` can be used and is faster than torch's kernel."""
    return (
        inputs.device.type == "cpu"
        and not torch.is_grad_enabled()
        and _dtype(inputs.dtype) in _DTYPES
        and inputs.shape[1] >= _ENOUGH_STEPS
        and not torch.compiler.is_compiling()
    )


def encode_elman(
    inputs: Tensor,
    lengths: Tensor | None,
    start: Tensor,
    weights: RecurrentWeights,
    nonlinearity: Nonlinearity,
) -> Encoded:
    """Encodes rows as `encode_rows`; under autocast all products are in its data type."""
    return encode_rows(
        inputs, lengths, start, weights, partial(elman_steps, nonlinearity=nonlinearity)
    )


def elman_steps(
    projected: Float[Tensor, "steps hidden"],
    counts: list[int],
    start: Float[Tensor, "batch hidden"],
    matrix: Float[Tensor, "hidden hidden"],
    bias: Float[Tensor, "hidden"],
    nonlinearity: Nonlinearity,
) -> tuple[Float[Tensor, "steps hidden"], Float[Tensor, "batch hidden"]]:
    """Runs h' = f(p + U h + b); f is tanh or relu.

    `projected` is the input part p = W x + b' of the rows of the first step, then of the second,
    and so on. Rows are sorted from long to short; `counts` is their number at each step. Returns
    the states after each step, in that order, and those after the last step of each row. The data
    type is that of `projected`, which under autocast is that of the products.
    """
    dtype = projected.dtype
    start, transposed = start.to(dtype), matrix.to(dtype).t()
    states = projected + bias.to(dtype)
    apply = torch.relu_ if nonlinearity == "relu" else torch.tanh_
    state, final = start, start.clone()
    for after in torch.split(states, counts):
        if len(state) > len(after):
            final[len(after) : len(state)] = state[len(after) :]
            state = state[: len(after)]
        state = apply(after.addmm_(state, transposed))
    final[: len(state)] = state
    return states, final


def _dtype(dtype: torch.dtype) -> torch.dtype:
    """Returns the data type of products of inputs of a data type."""
    is_cast = torch.is_autocast_enabled("cpu") and dtype != torch.float64
    return torch.get_autocast_dtype("cpu") if is_cast else dtype
