"""Precision of float32 matrix products on a GPU: true float32 or TensorFloat-32."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allows or forbids TensorFloat-32 within a context, in matrix products and in cuDNN.

    TensorFloat-32 keeps 10 of the 23 bits of a mantissa. GPUs since Ampere (2020) can use it for
    products of float32 numbers, and torch does so by default in cuDNN, which computes recurrent
    layers (https://pytorch.org/docs/stable/notes/cuda.html). A CPU is not affected.

    Example:
        >>> with tf32(False):
        ...     torch.backends.cudnn.allow_tf32
        False
    """
    with _no_deprecation():
        matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    set_tf32(allowed)
    try:
        yield
    finally:
        set_tf32(matmul, cudnn)


def set_tf32(matmul: bool, cudnn: bool | None = None) -> None:
    """Allows or forbids TensorFloat-32 in matrix products, and in cuDNN (as `matmul` if None)."""
    with _no_deprecation():
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = matmul if cudnn is None else cudnn


@contextmanager
def _no_deprecation() -> Iterator[None]:
    """Silences the advice of torch 2.9 and newer to use `fp32_precision` instead.

    `torch.backends.cudnn.flags` still reads the older switches, and torch raises if both are used.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API settings to control TF32")
        yield
