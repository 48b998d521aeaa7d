"""How a process that trains or evaluates is set up, before anything is built."""

import ctypes
import logging
import sys
import warnings

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

_TOLD_TO_EVERYBODY = (
    ".*dataloader is not resumable.*",  # the datamodule's own state is
    ".*LightningCLI's args parameter.*",
    ".*in eval mode at the start of training.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*this fit will run with no optimizer.*",  # n-grams are counted
    ".*smaller than the logging interval.*",
    ".*It is recommended to use .*sync_dist=True.*",  # each rank evaluates the whole file
    ".*Checkpoint directory .* exists and is not empty.*",  # of a resumed run
    ".*callbacks used to create the checkpoint need to be provided.*",  # not to evaluate
    ".*during testing is recommended.*",
)


def settle() -> None:
    """Keeps memory, and silences what Lightning says to everybody, so that news is seen."""
    keep_memory()
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in _TOLD_TO_EVERYBODY:
        warnings.filterwarnings("ignore", message=message)


def keep_memory() -> None:
    """Makes glibc keep the large buffers of a training step, which come back at each step.

    By default it returns them to the system, and each step pays for their pages again: a third of
    the time of a step of the 2 x 200 language model (docs/decisions/0007). Elsewhere than on glibc
    nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 28)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
