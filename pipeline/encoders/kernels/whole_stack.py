"""Runs a whole stack in one call of torch's kernel, if its layers allow it.

The parameters stay in the layers, so checkpoints do not change, and values are equal up to
rounding. Time of one call per layer divided by time of a single call, on one thread of a shared CPU
(best of 9 each, alternating; noise about 5 %):

| | LSTM | GRU | Elman |
|---|---|---|---|
| one step of one row, 3 x 200, evaluation | 1.08 | 1.12 | 1.22 |
| 35 steps of 20 rows, 2 x 200, evaluation | 1.03 | 1.02 | 1.03 |
| 20 steps of 8 rows, 2 x 100 both ways, evaluation | 1.05 | 1.06 | 1.09 |
| 35 steps of 20 rows, 3 x 200, training | 1.01 | | 1.03 |
| 35 steps of 20 rows, 2 x 100 both ways, training | 1.01 | | 1.07 |
| 35 steps of 20 rows, 2 x 200, training | 0.95 | | 1.00 |

The gain is the overhead of calls, which matters for small computations. The single call is used
whenever possible (also on a GPU, which was not measured), except for a GRU that trains on a CPU:
there `gru_steps`, layer by layer, is faster.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor

from pipeline.cuda_graphs.replay import is_hooked
from pipeline.encoders.base import Encoded, Encoder, all_full
from pipeline.encoders.carry import Carry
from pipeline.encoders.layers.fused import KERNEL_WEIGHTS, Fused, in_one_block
from pipeline.encoders.wrappers.bidirectional import Bidirectional
from pipeline.encoders.wrappers.dropout import DropInputs
from pipeline.encoders.wrappers.stacked import Stacked

_KERNELS: dict[str, Callable[..., Any]] = {
    "RNN_TANH": torch.rnn_tanh,
    "RNN_RELU": torch.rnn_relu,
    "GRU": torch.gru,
    "LSTM": torch.lstm,
}


def run_together(
    stack: Stacked, inputs: Tensor, lengths: Tensor | None, carry: Carry | None
) -> Encoded | None:
    """Computes `stack(inputs, lengths, carry)`, of checked inputs and lengths, by one kernel.

    Returns None unless all layers are kernels of one type, size and number of directions, nothing
    is active between them, no module has a hook and, if bidirectional, no row has padding.
    """
    layers = _kernels(stack, inputs, lengths)
    if layers is None or (len(layers[0]) == 2 and not all_full(inputs, lengths)):
        return None
    first = layers[0][0]
    stacked = _starts(layers, stack.parts(inputs, carry), inputs.shape[0])
    states, *finals = _KERNELS[first.kernel.mode](
        inputs,
        stacked if len(stacked) == 2 else stacked[0],
        _weights(layers),
        True,  # has_biases
        len(layers),
        0.0,  # dropout
        first.training,
        len(layers[0]) == 2,
        True,  # batch_first
    )
    # The carry of the backward direction is dropped. Copies, because the carry is saved in
    # checkpoints, and torch.save writes the whole storage behind a view.
    kept = (final[:: len(layers[0])].unbind() for final in finals)
    after = tuple(tuple(part.clone() for part in layer) for layer in zip(*kept, strict=True))
    return Encoded(states, after)


def _starts(layers: list[list[Fused]], parts: Carry, batch: int) -> Carry:
    """Stacks the carries of all directions of all layers."""
    starts = []
    for directions, part in zip(layers, parts, strict=True):
        starts.append(directions[0].fit_carry(part, batch))
        starts += [layer.initial_carry(batch) for layer in directions[1:]]
    return tuple(torch.stack(tensors) for tensors in zip(*starts, strict=True))


def _kernels(stack: Stacked, inputs: Tensor, lengths: Tensor | None) -> list[list[Fused]] | None:
    """Returns the directions of each layer; None if one kernel cannot compute them all."""
    layers = [_directions(layer, inputs, lengths) for layer in cast("list[Encoder]", stack.layers)]
    if is_hooked(stack) or None in layers:
        return None
    found = cast("list[list[Fused]]", layers)
    if sum(map(len, found)) == 1 or len(set(map(len, found))) > 1:
        return None
    kinds = {(part.kernel.mode, part.output_size, part.training) for part in chain(*found)}
    return found if len(kinds) == 1 else None


def _directions(layer: Encoder, inputs: Tensor, lengths: Tensor | None) -> list[Fused] | None:
    if is_hooked(layer):
        return None
    if isinstance(layer, DropInputs):
        idle = not layer.is_active and not is_hooked(layer.dropout)
        return _directions(layer.inner, inputs, lengths) if idle else None
    if isinstance(layer, Bidirectional):
        both = (layer.left_to_right, layer.right_to_left)
        ways = [_directions(way, inputs, lengths) for way in both]
        single = [way[0] for way in ways if way is not None and len(way) == 1]
        return single if len(single) == 2 else None
    if not isinstance(layer, Fused) or layer.drops_weights or is_hooked(layer.kernel):
        return None
    return [layer] if layer.calls_torch(inputs, lengths) else None


def _weights(layers: list[list[Fused]]) -> list[Tensor]:
    """Returns the weights in the order of the kernels: by layer, then by direction."""
    given = [[getattr(part.kernel, name) for name in KERNEL_WEIGHTS] for part in chain(*layers)]
    if given[0][0].is_cuda:
        given = _in_one_block(given)
    return list(chain(*given))


def _in_one_block(given: list[list[Tensor]]) -> list[list[Tensor]]:
    """Copies the weights into one block in cuDNN's order: all matrices, then all biases.

    Otherwise cuDNN does this at every call, with a warning.
    """
    matrices, biases = ([four[part] for four in given] for part in (slice(2), slice(2, 4)))
    pieces = in_one_block(list(chain(*matrices, *biases)))
    half = len(pieces) // 2
    return [pieces[i : i + 2] + pieces[half + i : half + i + 2] for i in range(0, half, 2)]
