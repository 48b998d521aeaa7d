"""From the optimiser and schedule of a configuration to what Lightning wants of a task."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from torch import nn

from pipeline.errors import InputError


def learned(task: LightningModule) -> list[nn.Parameter]:
    """Returns the parameters that are learned."""
    return [parameter for parameter in task.parameters() if parameter.requires_grad]


def refuse_impossible(
    task: LightningModule, optimizer: OptimizerCallable, lr_scheduler: LRSchedulerCallable | None
) -> None:
    """Raises a ValueError for an impossible rate or schedule, before a run is opened."""
    trial = optimizer(learned(task))
    if lr_scheduler is not None:
        lr_scheduler(trial)


def optimization(
    task: LightningModule,
    optimizer: OptimizerCallable,
    lr_scheduler: LRSchedulerCallable | None,
    monitor: str,
    slower: Sequence[nn.Parameter] = (),
    rate: float = 1.0,
) -> Any:  # noqa: ANN401 (Lightning's own union of nine types)
    """Returns what `configure_optimizers` has to.

    Args:
        task: whose parameters are learned.
        optimizer: makes the optimiser.
        lr_scheduler: makes the schedule, which steps once an epoch, after validation.
        monitor: the metric that a plateau is looked for in, unless the schedule names one.
        slower: parameters that learn at another rate.
        rate: that of `slower`, as a factor of the optimiser's.
    """
    built = optimizer(learned(task))
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
            f"{type(scheduler).__name__} sets one rate for everything, so that what is taken from "
            f"the language model would not learn at {rate} times of it; take another schedule"
        )
    own = scheduler.monitor if isinstance(scheduler, ReduceLROnPlateau) else None
    schedule = {
        "scheduler": scheduler,
        "interval": "epoch",
        "monitor": own or monitor,
        # A plateau can be seen only where there was a validation.
        "frequency": (task.trainer.check_val_every_n_epoch or 1) if own else 1,
    }
    return {"optimizer": built, "lr_scheduler": schedule}


@contextmanager
def scaled_rates(optimizer: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """Lets an optimiser step at other rates, which schedules and checkpoints do not see.

    Args:
        optimizer: its rates are what they were when the context ends, however it ends.
        factor: of the rate of each group.
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
    """Lets Adam and AdamW update on the CPU in one pass over memory, unless told how to.

    Torch's default there is a pass for each of a dozen operations, which for an embedding of 17,000
    words takes 87 ms an update; this takes 8 (docs/decisions/0015).

    Args:
        optimizer: as made; any other than Adam stays as it is.
    """
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        return
    for group in optimizer.param_groups:
        is_free = group["fused"] is None and not group["foreach"]
        is_plain = not group["differentiable"] and not group["capturable"]
        if is_free and is_plain and all(p.device.type == "cpu" for p in group["params"]):
            group["fused"] = True
