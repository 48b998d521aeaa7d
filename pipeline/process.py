"""Process-wide settings for training and evaluation: garbage collection, warnings, allocator."""

import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator

SUPERVISOR = "UNROLL_SUPERVISOR"
"""Environment variable with the id of the process that runs this training as one of several."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

_WATCH = 0.5  # seconds

_IRRELEVANT_WARNINGS = (
    ".*dataloader is not resumable.*",  # the datamodule's own state is
    ".*LightningCLI's args parameter.*",
    ".*in eval mode at the start of training.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*this fit will run with no optimizer.*",  # n-gram models are counted
    ".*smaller than the logging interval.*",
    ".*It is recommended to use .*sync_dist=True.*",  # each rank evaluates the whole file
    ".*Checkpoint directory .* exists and is not empty.*",  # when resuming
    ".*callbacks used to create the checkpoint need to be provided.*",  # not for evaluation
    ".*during testing is recommended.*",
    ".*new API settings to control TF32.*",  # Lightning and `torch.backends.cudnn.flags` read them
)


@contextlib.contextmanager
def defer_garbage_collection() -> Iterator[None]:
    """Disables garbage collection while modules are imported, and skips it at exit.

    Imports create a million objects and no garbage, and searching them repeatedly takes as long as
    everything else: `unroll runs` takes 1.6 instead of 3.2 seconds, `unroll train` of five steps
    6.1 instead of 9.5. `enable_garbage_collection` enables it again after the imports.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()


def enable_garbage_collection() -> None:
    """Enables garbage collection after `defer_garbage_collection`, except for existing objects."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def end_with_supervisor() -> None:
    """Makes this process end as on SIGTERM when the command that supervises it was killed.

    Without the environment variable `SUPERVISOR`, and in the subprocesses of a distributed
    training, which end with their first process, nothing happens.
    """
    given = os.environ.get(SUPERVISOR, "")
    if not given.isdigit() or "LOCAL_RANK" in os.environ:
        return

    def watch() -> None:
        while os.getppid() == int(given):
            time.sleep(_WATCH)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def configure_process() -> None:
    """Configures the allocator, and silences Lightning's warnings that do not apply here."""
    configure_allocator()
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in _IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def configure_allocator() -> None:
    """Makes glibc reuse the large buffers of a training step instead of returning them.

    By default glibc returns them to the system, and each step pays for their pages again: a third
    of the time of a step of the 2 x 200 language model (docs/decisions/0007). Without glibc nothing
    happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 28)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def cpu_multiplies_bfloat16() -> bool:
    """Returns whether this CPU multiplies bfloat16 in hardware and torch uses it."""
    import torch

    private = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # functions of torch
    has_units = any(getattr(torch.cpu, name)() for name in private if hasattr(torch.cpu, name))
    onednn = torch.backends.mkldnn
    is_there: bool = onednn.is_available()  # type: ignore[no-untyped-call]
    return has_units and is_there and bool(onednn.enabled)
