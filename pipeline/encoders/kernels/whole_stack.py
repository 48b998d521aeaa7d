"""A whole stack in one call of torch's kernel, where its layers are such that there is one.

The parameters stay with the leaves, so a checkpoint does not know which way was taken, and the
values are the same but for rounding. Time of a call per leaf over time of one call, on one thread
of a shared CPU (best of 9 each, in turns; the noise is about 5 %):

| | LSTM | GRU | Elman |
|---|---|---|---|
| one step of one row, 3 x 200, evaluation | 1.08 | 1.12 | 1.22 |
| 35 steps of 20 rows, 2 x 200, evaluation | 1.03 | 1.02 | 1.03 |
| 20 steps of 8 rows, 2 x 100 both ways, evaluation | 1.05 | 1.06 | 1.09 |
| 35 steps of 20 rows, 3 x 200, training | 1.01 | | 1.03 |
| 35 steps of 20 rows, 2 x 100 both ways, training | 1.01 | | 1.07 |
| 35 steps of 20 rows, 2 x 200, training | 0.95 | | 1.00 |

It saves what a call costs: most where there is little to compute, nothing that is above the noise
where there is much. It is taken wherever it is possible, on a GPU too, where it was not measured;
but for a GRU that trains on a CPU, whose own steps (`gru_steps`), a leaf at a time, are faster.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, all_full
from pipeline.encoders.carry import Carry
from pipeline.encoders.layers.fused import KERNEL_WEIGHTS, Fused, is_hooked, one_piece
from pipeline.encoders.wrappers.dropout import DropInputs
from pipeline.encoders.wrappers.stacked import Bidirectional, Stacked

_KERNELS: dict[str, Callable[..., Any]] = {
    "RNN_TANH": torch.rnn_tanh,
    "RNN_RELU": torch.rnn_relu,
    "GRU": torch.gru,
    "LSTM": torch.lstm,
}


def run_together(
    stack: Stacked, inputs: Tensor, lengths: Tensor | None, carry: Carry | None
) -> Encoded | None:
    """What `stack(inputs, lengths, carry)` gives, by one kernel.

    Args:
        stack: any.
        inputs: [batch time input], checked.
        lengths: [batch], checked, or None.
        carry: of the stack; its initial one if None.

    Returns:
        None unless all layers are kernels of one kind, size and number of directions, with nothing
        in between that has an effect now, no hook that waits for the call of a part and, in both
        directions, every row full.

    Raises:
        ValueError: `carry` does not fit.
    """
    layers = _kernels(stack, inputs, lengths)
    if layers is None or (len(layers[0]) == 2 and not all_full(inputs, lengths)):
        return None
    first = layers[0][0]
    stacked = _starts(layers, stack.parts(inputs, carry), len(inputs))
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
    # The backward direction's memory is not carried. A copy, since a carry goes into every
    # checkpoint, and torch.save writes the whole storage behind a view.
    kept = (final[:: len(layers[0])].unbind() for final in finals)
    after = tuple(tuple(part.clone() for part in layer) for layer in zip(*kept, strict=True))
    return Encoded(states, after)


def _starts(layers: list[list[Fused]], parts: Carry, batch: int) -> Carry:
    """The carries of all directions of all layers, as a kernel takes them."""
    starts = []
    for directions, part in zip(layers, parts, strict=True):
        starts.append(directions[0].fit_carry(part, batch))
        starts += [leaf.initial_carry(batch) for leaf in directions[1:]]
    return tuple(torch.stack(tensors) for tensors in zip(*starts, strict=True))


def _kernels(stack: Stacked, inputs: Tensor, lengths: Tensor | None) -> list[list[Fused]] | None:
    """The directions of each layer; None if one kernel cannot compute them all."""
    layers = [_directions(layer, inputs, lengths) for layer in cast("list[Encoder]", stack.layers)]
    if is_hooked(stack) or None in layers:
        return None
    found = cast("list[list[Fused]]", layers)
    if sum(map(len, found)) == 1 or len(set(map(len, found))) > 1:
        return None
    kinds = {(leaf.kernel.mode, leaf.output_size, leaf.training) for leaf in chain(*found)}
    return found if len(kinds) == 1 else None


def _directions(layer: Encoder, inputs: Tensor, lengths: Tensor | None) -> list[Fused] | None:
    if is_hooked(layer):
        return None
    if isinstance(layer, DropInputs):
        idle = not layer.is_active and not is_hooked(layer.dropout)
        return _directions(layer.inner, inputs, lengths) if idle else None
    if isinstance(layer, Bidirectional):
        ways = [
            _directions(way, inputs, lengths) for way in (layer.left_to_right, layer.right_to_left)
        ]
        single = [way[0] for way in ways if way is not None and len(way) == 1]
        return single if len(single) == 2 else None
    if not isinstance(layer, Fused) or layer.drops_weights or is_hooked(layer.kernel):
        return None
    return [layer] if layer.calls_torch(inputs, lengths) else None


def _weights(layers: list[list[Fused]]) -> list[Tensor]:
    """The weights, layer by layer and direction by direction, as the kernels take them."""
    leaves = list(chain(*layers))
    given = [[getattr(leaf.kernel, name) for name in KERNEL_WEIGHTS] for leaf in leaves]
    if given[0][0].is_cuda:
        given = _in_one_piece(given)
    return list(chain(*given))


def _in_one_piece(given: list[list[Tensor]]) -> list[list[Tensor]]:
    """Copies in the order of cuDNN's own: the matrices of all leaves, then the biases of all.

    From other weights it makes such a piece at every call, with a warning.
    """
    matrices, biases = ([four[part] for four in given] for part in (slice(2), slice(2, 4)))
    pieces = one_piece(list(chain(*matrices, *biases)))
    half = len(pieces) // 2
    return [pieces[i : i + 2] + pieces[half + i : half + i + 2] for i in range(0, half, 2)]
