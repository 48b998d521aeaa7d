"""The recurrent state passed between calls: nested tuples of batch-first tensors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Carry: TypeAlias = tuple[Any, ...]
"""Nested tuples of batch-first tensors; () if an encoder has no state."""


def detach_carry(carry: Carry) -> Carry:
    """Detaches all tensors from the graph, which truncates backpropagation through time.

    Example:
        >>> import torch
        >>> detach_carry((torch.ones(1, requires_grad=True),))
        (tensor([1.]),)
    """
    return _map(Tensor.detach, carry)


def select_rows(carry: Carry, rows: slice | Tensor) -> Carry:
    """Selects rows of the batch in every tensor, by a slice (views) or indices (copies).

    Example:
        >>> import torch
        >>> select_rows((torch.tensor([5, 6, 7]),), slice(1, 3))
        (tensor([6, 7]),)
    """
    return _map(lambda part: part[rows], carry)


def concatenate_rows(carries: Sequence[Carry]) -> Carry:
    """Concatenates the carries of several batches along the batch dimension.

    Raises:
        ValueError: If there is none, or two have different structures.

    Example:
        >>> import torch
        >>> concatenate_rows([(torch.tensor([5]),), (torch.tensor([6]),)])
        (tensor([5, 6]),)
    """
    if not carries:
        raise ValueError("concatenate_rows needs at least one carry, got none")
    structures = [_structure(carry) for carry in carries]
    if any(structure != structures[0] for structure in structures):
        raise ValueError(
            "concatenate_rows needs carries of one structure, got "
            + " and ".join(sorted(set(structures)))
        )
    return _concatenate(carries)


def flatten_carry(carry: Carry) -> tuple[Tensor, ...]:
    """Returns the tensors of a carry in order.

    Example:
        >>> import torch
        >>> flatten_carry((torch.tensor([5]), (torch.tensor([6]),)))
        (tensor([5]), tensor([6]))
    """
    parts: list[Tensor] = []
    for part in carry:
        parts.extend(flatten_carry(part) if isinstance(part, tuple) else (part,))
    return tuple(parts)


def unflatten_carry(tensors: Sequence[Tensor], like: Carry) -> Carry:
    """Returns a carry of these tensors with the structure of another carry.

    Example:
        >>> import torch
        >>> unflatten_carry((torch.tensor([7]), torch.tensor([8])), (0, (0,)))
        (tensor([7]), (tensor([8]),))
    """
    remaining = iter(tensors)
    return _map(lambda _: next(remaining), like)


def check_carry(name: str, carry: Carry, count: int, batch_size: int, size: int) -> None:
    """Raises a ValueError unless `carry` is `count` tensors [batch_size size]."""
    shapes = [list(part.shape) if isinstance(part, Tensor) else type(part) for part in carry]
    if shapes != [[batch_size, size]] * count:
        raise ValueError(
            f"{name} expects a carry of {count} tensors [batch={batch_size} hidden={size}], "
            f"got {shapes}; initial_carry({batch_size}) returns a new one"
        )


def fit_dtype(name: str, carry: Carry, dtype: torch.dtype) -> Carry:
    """Converts a flat carry to the dtype of an encoder if no precision is lost.

    A carry of a step under autocast (bfloat16) can therefore be used without autocast. Raises a
    ValueError, with the name of the encoder, if a tensor is more precise or not floating-point.
    """
    for part in carry:
        if not part.is_floating_point() or torch.promote_types(part.dtype, dtype) != dtype:
            raise ValueError(
                f"{name} expects a floating-point carry of {dtype} or lower precision, "
                f"got {part.dtype}; convert the carry or the encoder explicitly"
            )
    return tuple(part.to(dtype) for part in carry)


def _map(function: Callable[[Tensor], Tensor], carry: Carry) -> Carry:
    return tuple(
        _map(function, part) if isinstance(part, tuple) else function(part) for part in carry
    )


def _concatenate(carries: Sequence[Carry]) -> Carry:
    return tuple(
        _concatenate(parts) if isinstance(parts[0], tuple) else torch.cat(parts)
        for parts in zip(*carries, strict=True)
    )


def _structure(carry: Carry) -> str:
    inner = (_structure(part) if isinstance(part, tuple) else "tensor" for part in carry)
    return f"({', '.join(inner)})"
