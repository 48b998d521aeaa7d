"""Copies between the host and a device that make the host wait as rarely as possible."""

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Returns a tensor on a device, copied without waiting if the tensor is on the host.

    A copy from pageable memory can wait for the work queued on a GPU, so that the tensor is copied
    to pinned memory first.

    Example:
        >>> to_device(torch.tensor([3]), torch.device("cpu"))
        tensor([3])
    """
    kind, is_on_host = torch.device(device).type, tensor.device.type == "cpu"
    if kind == "cuda" and is_on_host and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    # To the host and on MPS (https://github.com/pytorch/pytorch/issues/83015), such copies could be
    # read too early.
    return tensor.to(device, non_blocking=is_on_host and kind != "mps")


def real_steps(lengths: Tensor, time: int, device: torch.device) -> Tensor:
    """Returns which of `time` steps are real, bool [batch time] on the device.

    The mask is computed where the lengths [batch] are: lengths on the host need one small copy,
    for which the host does not wait.

    Example:
        >>> real_steps(torch.tensor([2, 0]), 3, torch.device("cpu"))
        tensor([[ True,  True, False],
                [False, False, False]])
    """
    steps = torch.arange(time, device=lengths.device)
    return to_device(steps < lengths.unsqueeze(1), device)


def without_padding(states: Tensor, lengths: Tensor) -> Tensor:
    """Returns states [batch time ...] with zeros at padded steps, also if these are nan.

    The gradient of padded steps is 0.

    Example:
        >>> without_padding(torch.ones(1, 3, 2), torch.tensor([2]))[0, :, 0]
        tensor([1., 1., 0.])
    """
    is_real = real_steps(lengths, states.shape[1], states.device)
    if states.device.type == "cpu" and not torch.compiler.is_compiling():
        # Three times as fast as a mask, which is read for each feature.
        padded = (~is_real).flatten().nonzero().squeeze(1)
        return states.flatten(0, 1).index_fill(0, padded, 0.0).view_as(states)
    return states.masked_fill(~is_real.view(*is_real.shape, *[1] * (states.dim() - 2)), 0.0)


def on_host(*tensors: Tensor) -> list[Tensor]:
    """Returns tensors on the CPU; those of a device are copied in one piece.

    All tensors must be on one device or on the CPU.

    Example:
        >>> on_host(torch.tensor([3]), torch.tensor([0.5]))
        [tensor([3]), tensor([0.5000])]
    """
    away = [tensor for tensor in tensors if tensor.device.type != "cpu"]
    if not away:
        return list(tensors)
    copies = iter(unpacked(packed(away).cpu(), away))
    return [tensor if tensor.device.type == "cpu" else next(copies) for tensor in tensors]


def packed(tensors: Sequence[Tensor]) -> Tensor:
    """Returns the bytes of tensors, those with the largest elements first, uint8 [bytes]."""
    ordered = [tensors[place] for place in _by_element_size(tensors)]
    return torch.cat([tensor.contiguous().flatten().view(torch.uint8) for tensor in ordered])


def unpacked(data: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns views of the bytes `packed(tensors)` with the shapes and types of the tensors."""
    places = _by_element_size(tensors)
    sizes = [tensors[place].numel() * tensors[place].element_size() for place in places]
    pieces = dict(zip(places, torch.split(data, sizes), strict=True))
    return [
        pieces[place].view(tensor.dtype).view(tensor.shape) for place, tensor in enumerate(tensors)
    ]


def _by_element_size(tensors: Sequence[Tensor]) -> list[int]:
    # Elements must start at a multiple of their size.
    return sorted(range(len(tensors)), key=lambda place: -tensors[place].element_size())


class Constant:
    """A tensor that never changes, copied at most once to each device and type.

    It is no buffer, because DDP broadcasts buffers before each forward pass: a rank would wait
    forever if ranks evaluate different numbers of batches.

    Args:
        value: Tensor on the CPU.

    Example:
        >>> Constant(torch.tensor([1.0, 2.0])).on(torch.zeros(1, dtype=torch.float64))
        tensor([1., 2.], dtype=torch.float64)
    """

    def __init__(self, value: Tensor) -> None:
        self._value = value
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def on(self, other: Tensor) -> Tensor:
        """Returns the value on the device of another tensor, and in its type if both are floats."""
        is_float = self._value.is_floating_point() and other.is_floating_point()
        key = (other.device, other.dtype if is_float else self._value.dtype)
        if key == (self._value.device, self._value.dtype):
            return self._value
        if key not in self._copies:
            # A copy made in inference mode could not be used in training.
            with torch.inference_mode(False):
                self._copies[key] = to_device(self._value.to(key[1]), key[0])
        return self._copies[key]
