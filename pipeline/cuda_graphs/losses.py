"""Replays of a training loss with its gradients."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from torch import Tensor, nn
from torch.func import functional_call

from pipeline.cuda_graphs import replay
from pipeline.transfers import to_device

Loss: TypeAlias = Callable[..., tuple[Tensor, ...]]


def replayed_loss(
    module: nn.Module, loss: Loss, *inputs: Tensor, settings: Hashable = ()
) -> tuple[Tensor, ...]:
    """Returns the outputs of `loss(*inputs)`, from a recording if that is possible.

    Args:
        module: Module whose parameters receive gradients.
        loss: Function that returns the loss [] and tensors without a gradient. It must compute on
            the device only, and read nothing that changes between calls besides the inputs and the
            parameters and buffers of `module`.
        inputs: Tensors without a gradient, the first one on the device of the module. A recording
            gets all of them there, `loss` where they are.
        settings: All numbers and switches that `loss` reads.

    Example:
        >>> import torch
        >>> linear = nn.Linear(2, 1)
        >>> total, states = replayed_loss(linear, lambda x: (linear(x).sum(), x), torch.ones(1, 2))
        >>> total.requires_grad  # on a CPU this is `loss(x)`
        True
    """
    if not replay.can_replay(module, inputs[0].device):
        return loss(*inputs)
    names = [name for name, each in module.named_parameters() if each.requires_grad]
    weights = [each for each in module.parameters() if each.requires_grad]

    def compute(given: Sequence[Tensor], parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
        named = {f"module.{name}": part for name, part in zip(names, parameters, strict=True)}
        with replay.cuda_graphs(False):
            found: tuple[Tensor, ...] = functional_call(_Call(module, loss), named, tuple(given))
        return found

    moved = [to_device(each, inputs[0].device) for each in inputs]
    found = replay.replay(module, compute, moved, weights, (module.training, settings))
    if found is not None:
        return found
    with replay.cuda_graphs(False):  # a layer of the module needs no recording of its own
        return loss(*inputs)


class _Call(nn.Module):
    """Calls a loss of a module, so that `functional_call` can replace the module's parameters."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs of the loss."""
        return self.loss(*inputs)
