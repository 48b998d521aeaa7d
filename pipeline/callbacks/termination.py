"""SIGTERM ends training at once, as what it is."""

import os
import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Terminated(SystemExit):
    """SIGTERM came.

    Attributes:
        code: 143; 1 if what came was the news that another process of this training had failed.
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Termination(Callback):
    """Turns SIGTERM into an exception that the command line can tell from success.

    Lightning 2.6 waits for the end of the batch, broadcasts from within the signal handler (a
    deadlock when ranks are at different places) and exits with code 0. Under SLURM, where its
    handler also requeues the job, it is left in place.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the handler that Lightning has just installed."""
        install()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `on_train_start`."""
        install()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Ends the processes that Lightning started: they wait for this one for ever."""
        processes: list[Any] = getattr(trainer.strategy.launcher, "procs", [])
        # Lightning sends SIGTERM to the first process when another one dies.
        if isinstance(exception, Terminated) and any(process.poll() for process in processes):
            exception.code = 1
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def install() -> None:
    """Makes SIGTERM raise `Terminated` in the main thread."""
    if "SLURM_JOB_ID" in os.environ or threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, _raise)


def _raise(signum: int, frame: FrameType | None) -> None:
    raise Terminated
