"""The memory that goes from window to window: a value, in nested tuples of batch-first tensors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Carry: TypeAlias = tuple[Any, ...]
"""Nested tuples of batch-first tensors; () when there is none."""


def detach_carry(carry: Carry) -> Carry:
    """Cuts the gradient: truncated backpropagation through time ends here."""
    return _map(Tensor.detach, carry)


def select_rows(carry: Carry, rows: slice | Tensor) -> Carry:
    """The carry of some rows of the batch, as `tensor[rows]` of each tensor.

    Args:
        carry: of [batch ...] tensors.
        rows: a slice (which gives views), or a tensor of indices (which gives copies).
    """
    return _map(lambda part: part[rows], carry)


def concatenate_rows(carries: Sequence[Carry]) -> Carry:
    """The carry of several batches, one below the other; the inverse of `select_rows` by slices.

    Args:
        carries: at least one, all of the same structure.

    Raises:
        ValueError: there is none, or two have different structures.
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


def check_carry(name: str, carry: Carry, count: int, batch_size: int, size: int) -> None:
    """Raises a ValueError unless `carry` is `count` tensors [batch_size size]."""
    shapes = [list(part.shape) if isinstance(part, Tensor) else type(part) for part in carry]
    if shapes != [[batch_size, size]] * count:
        raise ValueError(
            f"{name} expects a carry of {count} tensors [batch={batch_size} hidden={size}], "
            f"got {shapes}; a fresh one comes from initial_carry({batch_size})"
        )


def fit_dtype(name: str, carry: Carry, dtype: torch.dtype) -> Carry:
    """The tensors of a flat carry in the dtype of an encoder, if they fit in it.

    What a step under autocast left behind (bfloat16) must fit a step without it as well.

    Args:
        name: of the encoder, for the error.
        carry: a flat tuple of tensors.
        dtype: of the encoder's parameters.

    Raises:
        ValueError: a tensor is not of floating numbers, or is of more bits than `dtype` keeps.
    """
    for part in carry:
        if not part.is_floating_point() or torch.promote_types(part.dtype, dtype) != dtype:
            raise ValueError(
                f"{name} expects a carry of {dtype} or of less precise floating numbers, "
                f"got {part.dtype}; convert it knowingly, or the encoder"
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
