"""How a process that trains or evaluates is set up, before anything is built."""

import contextlib
import ctypes
import gc
import logging
import sys
import warnings
from collections.abc import Iterator

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


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keeps Python from searching what is imported for garbage, for a process that ends here.

    There is none in it, and a search through a million objects, again and again while they come and
    once more at the end, takes as long as all else: `unroll runs` takes 1.6 instead of 3.2 seconds,
    `unroll train` of five steps 6.1 instead of 9.5. Collection begins with `collect_from_now`.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()


def collect_from_now() -> None:
    """Ends what `uncollected` began: garbage is collected, but not looked for in what is there."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


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
