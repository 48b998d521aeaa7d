"""Runs all steps of a cell on a GPU as one recorded computation instead of a loop in Python."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call

from pipeline.cuda_graphs import replay
from pipeline.cuda_graphs.recordable import is_recordable
from pipeline.encoders.carry import Carry

ENOUGH_STEPS = 4  # for fewer, the copies take as long as the launches


def run_cell(
    cell: nn.Module, inputs: Tensor, carry: Carry, replaced: dict[str, Tensor]
) -> tuple[Tensor, Carry]:
    """Returns `cell(inputs, carry)`, with some of its parameters replaced by other tensors.

    The values are those of the plain call; on a GPU the call may be replayed.
    """
    if not _can_replay(cell, inputs):
        return _loop(cell, inputs, carry, replaced)
    names = list(replaced)
    weights = {name: part for name, part in cell.named_parameters() if name not in replaced}

    def compute(given: Sequence[Tensor], parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
        count = 1 + len(carry)
        named = zip((*names, *weights), (*given[count:], *parameters), strict=True)
        states, after = _loop(cell, given[0], tuple(given[1:count]), dict(named))
        return (states, *after)

    tensors = (inputs, *carry, *replaced.values())
    found = replay.replay(cell, compute, tensors, list(weights.values()), (cell.training, *names))
    return _loop(cell, inputs, carry, replaced) if found is None else (found[0], found[1:])


def _can_replay(cell: nn.Module, inputs: Tensor) -> bool:
    return (
        replay.can_replay(cell, inputs.device)
        and inputs.shape[1] >= ENOUGH_STEPS
        and is_recordable(cell)
        and next(cell.buffers(), None) is None  # a cell may assign another tensor
    )


def _loop(
    cell: nn.Module, inputs: Tensor, carry: Carry, replaced: dict[str, Tensor]
) -> tuple[Tensor, Carry]:
    found: tuple[Tensor, Carry] = functional_call(cell, replaced, (inputs, carry))
    return found
