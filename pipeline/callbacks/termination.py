"""Ends training on SIGTERM at the next update, with the run closed."""

import os
import signal
import threading
from types import FrameType

from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.callbacks.process_watcher import ProcessWatcher

_RETRY = 0.2  # seconds until a signal that arrived in a destructor is sent again


class Terminated(SystemExit):
    """Raised on SIGTERM; the exit code is 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Termination(Callback):
    """Replaces Lightning's SIGTERM handler by one that raises `Terminated`.

    Lightning 2.6 waits for the end of the batch, broadcasts within the signal handler (a deadlock
    if ranks are at different places) and exits with code 0. Under SLURM its handler also requeues
    the job, and is kept.

    Without its handler Lightning still broadcasts, before each batch of a training with several
    processes, whether the signal has arrived, and waits for the device to read the answer. This
    broadcast is left out.
    """

    def __init__(self, processes: "ProcessWatcher") -> None:
        self.processes = processes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the handler, which Lightning has just installed."""
        if install():
            loop = trainer.fit_loop.epoch_loop
            loop._broadcast_sigterm_tensor = _do_nothing  # type: ignore[method-assign]

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the handler, which Lightning has just installed."""
        install()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Terminates the other processes, which wait for this one."""
        self.processes.end()


def install() -> bool:
    """Makes SIGTERM raise `Terminated`; not under SLURM or in another thread than the main one.

    Returns whether it does.
    """
    if "SLURM_JOB_ID" in os.environ or threading.current_thread() is not threading.main_thread():
        return False
    signal.signal(signal.SIGTERM, _raise)
    return True


def uninstall() -> None:
    """Restores the default action of SIGTERM."""
    if signal.getsignal(signal.SIGTERM) is _raise:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _do_nothing() -> None:
    pass


def _raise(signum: int, frame: FrameType | None) -> None:
    if _is_in_destructor(frame):  # Python would print the exception and continue
        threading.Timer(_RETRY, os.kill, (os.getpid(), signum)).start()
        return
    raise Terminated


def _is_in_destructor(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
