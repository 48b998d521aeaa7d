"""Checks of the Trainer's settings for devices, and errors that only occur on a device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.accelerators import MPSAccelerator
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy

from pipeline.console import print_note
from pipeline.errors import InputError

_NO_FLOAT64 = "Apple GPUs have no float64, in which scores are summed"
_SHARDING = (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy)
_NONDETERMINISTIC = " does not have a deterministic implementation"  # message of torch


def usable_accelerator(requested: Any) -> Any:  # noqa: ANN401 (a name or a built accelerator)
    """Returns the Trainer's `accelerator`.

    For "auto" it is the CPU if there is no CUDA GPU; a note tells so if there is an Apple GPU.

    Raises:
        InputError: If the accelerator is an Apple GPU.
    """
    has_cuda = torch.cuda.is_available()
    has_apple = torch.backends.mps.is_available()
    is_apple = requested == "mps" or isinstance(requested, MPSAccelerator)
    if is_apple or (requested == "gpu" and has_apple and not has_cuda):
        name = requested if isinstance(requested, str) else type(requested).__name__
        raise InputError(
            f"--trainer.accelerator={name}: {_NO_FLOAT64}; use --trainer.accelerator=cpu"
        )
    if requested != "auto" or has_cuda:
        return requested
    if has_apple:
        print_note(f"the CPU is used: {_NO_FLOAT64}")
    return "cpu"


def refuse_sharding(strategy: Any) -> None:  # noqa: ANN401 (a name or a built strategy)
    """Raises `InputError` for strategies that divide the weights among processes."""
    is_named = isinstance(strategy, str) and strategy.startswith(("fsdp", "deepspeed"))
    if is_named or isinstance(strategy, _SHARDING):
        name = strategy if is_named else type(strategy).__name__
        raise InputError(
            f"--trainer.strategy={name} divides the weights among processes, but a checkpoint is "
            "one file with all weights; use --trainer.strategy=ddp"
        )


@contextmanager
def explain_nondeterminism() -> Iterator[None]:
    """Raises torch's error about an operation without deterministic implementation as `InputError`.

    `--trainer.deterministic=true` makes torch raise it in the first step that needs the operation.
    """
    try:
        yield
    except RuntimeError as error:
        operation, found, _ = str(error).partition(_NONDETERMINISTIC)
        if not found:
            raise
        raise InputError(
            f"--trainer.deterministic=true: torch has no deterministic implementation of "
            f"{operation} on this device; use --trainer.deterministic=warn, which prints a "
            "warning instead, or another part of the model"
        ) from error


@contextmanager
def ends_determinism() -> Iterator[None]:
    """Restores torch's deterministic algorithms, which a Trainer sets for the whole process.

    Without it, everything that the process computes after a training with
    `--trainer.deterministic=true` would be as slow as that training.
    """
    enabled = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmarks = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        torch.backends.cudnn.benchmark = benchmarks
