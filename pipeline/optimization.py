"""Builds the result of `configure_optimizers` from the configured optimizer and schedule."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from torch import nn

from pipeline.contracts import ScalesRates
from pipeline.errors import InputError


def learned(task: LightningModule) -> list[nn.Parameter]:
    """Returns the trainable parameters of a task."""
    return [parameter for parameter in task.parameters() if parameter.requires_grad]


def refuse_impossible(
    task: LightningModule, optimizer: OptimizerCallable, lr_scheduler: LRSchedulerCallable | None
) -> None:
    """Raises a `ValueError` for an invalid learning rate or schedule, before a run is opened."""
    trial = optimizer(learned(task))
    if lr_scheduler is not None:
        lr_scheduler(trial)


def optimization(
    task: LightningModule,
    optimizer: OptimizerCallable,
    lr_scheduler: LRSchedulerCallable | None,
    monitor: str,
) -> Any:  # noqa: ANN401 (Lightning's own union of nine types)
    """Returns the optimizer and schedule in the form that `configure_optimizers` must return.

    A callback that implements `pipeline.contracts.ScalesRates` gives some parameters another
    learning rate; a schedule that sets one rate for all parameters is an `InputError` then. A
    schedule steps once per epoch after validation. `monitor` is the metric for a
    `ReduceLROnPlateau` that does not name one.
    """
    built = optimizer(learned(task))
    slower, rate = _scaled_parameters(task)
    if slower:
        apart = {id(parameter) for parameter in slower}
        others = [parameter for parameter in learned(task) if id(parameter) not in apart]
        built = optimizer([{"params": others}, {"params": list(slower)}])
        built.param_groups[1]["lr"] *= rate
    in_one_pass(built)
    if lr_scheduler is None:
        return built
    scheduler = lr_scheduler(built)
    if slower and built.param_groups[1]["lr"] == built.param_groups[0]["lr"] and rate != 1:
        raise InputError(
            f"{type(scheduler).__name__} sets one learning rate for all parameters, so that the "
            f"layers of the pretrained encoder would not have {rate} times that rate; use another "
            "schedule"
        )
    own = scheduler.monitor if isinstance(scheduler, ReduceLROnPlateau) else None
    schedule = {
        "scheduler": scheduler,
        "interval": "epoch",
        "monitor": own or monitor,
        # `ReduceLROnPlateau` needs the metric of a validation.
        "frequency": (task.trainer.check_val_every_n_epoch or 1) if own else 1,
    }
    return {"optimizer": built, "lr_scheduler": schedule}


def _scaled_parameters(task: LightningModule) -> tuple[Sequence[nn.Parameter], float]:
    callbacks = task.trainer.callbacks if task._trainer is not None else []  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, ScalesRates):
            return callback.parameters_of(task), callback.rate
    return (), 1.0


@contextmanager
def scaled_rates(optimizer: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """Scales learning rates within a context; schedules and checkpoints keep the original rates.

    Example:
        >>> optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
        >>> with scaled_rates(optimizer, 0.25):
        ...     optimizer.param_groups[0]["lr"]
        0.5
        >>> optimizer.param_groups[0]["lr"]
        2.0
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


def in_one_pass(optimizer: torch.optim.Optimizer) -> None:
    """Enables the fused update of Adam and AdamW on the CPU, unless the user chose a variant.

    The default of torch passes over memory once for each of a dozen operations. For an embedding of
    17,000 words an update takes 87 ms; the fused update takes 8 ms (docs/decisions/0015).
    """
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        return
    for group in optimizer.param_groups:
        is_free = group["fused"] is None and not group["foreach"]
        is_plain = not group["differentiable"] and not group["capturable"]
        if is_free and is_plain and all(p.device.type == "cpu" for p in group["params"]):
            group["fused"] = True
