"""How training ends before its time: SIGTERM, and the death of another process of the job."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

_GRACE = 10.0  # seconds that a process has to find out by itself that another one died
_INTERVAL = 0.2


class Terminated(SystemExit):
    """SIGTERM came; the exit code is 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Termination(Callback):
    """Turns SIGTERM into an exception that the command line can tell from success.

    Lightning 2.6 waits for the end of the batch, broadcasts from within the signal handler (a
    deadlock when ranks are at different places) and exits with code 0. Under SLURM, where its
    handler also requeues the job, it is left in place.

    Args:
        processes: the processes that Lightning starts.
    """

    def __init__(self, processes: "ProcessWatcher") -> None:
        self.processes = processes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the handler that Lightning has just installed."""
        install()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `on_train_start`."""
        install()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Ends the other processes, which wait for this one."""
        self.processes.end()


class ProcessWatcher:
    """Watches the processes that Lightning's launcher starts beside the first one.

    Lightning's own watcher kills the first process with SIGKILL as soon as another has failed, so
    that the run would stay RUNNING for ever. This one takes the processes over from it.

    Args:
        on_death: called, in a thread, if a process failed and the first one has not noticed for
            some seconds (it waits in a collective, say); it is expected to end this process.
    """

    def __init__(self, on_death: Callable[[], None]) -> None:
        self._on_death = on_death
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_over = threading.Event()

    def watch(self, trainer: Trainer) -> None:
        """Begins to watch; nothing where Lightning starts no processes."""
        launcher = trainer.strategy.launcher
        if hasattr(launcher, "procs"):
            threading.Thread(target=self._work, args=(launcher,), daemon=True).start()

    def end(self) -> None:
        """Ends the processes, and watching."""
        self._is_over.set()
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def _work(self, launcher: Any) -> None:  # noqa: ANN401 (of a private class)
        while not self._is_over.wait(_INTERVAL):
            while launcher.procs:
                self._processes.append(launcher.procs.pop())
            if any(process.poll() for process in self._processes):
                self._is_over.wait(_GRACE) or self._on_death()
                return


def install() -> None:
    """Makes SIGTERM raise `Terminated` in the main thread."""
    if "SLURM_JOB_ID" in os.environ or threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, _raise)


def uninstall() -> None:
    """Lets SIGTERM end the process without a word, as it did before `install`."""
    if signal.getsignal(signal.SIGTERM) is _raise:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(signum: int, frame: FrameType | None) -> None:
    if _is_in_destructor(frame):  # Python would print the exception there, and go on
        threading.Timer(_INTERVAL, os.kill, (os.getpid(), signum)).start()
        return
    raise Terminated


def _is_in_destructor(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
