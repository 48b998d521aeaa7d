"""Early ends of training: SIGTERM, and failure of another process of the job."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

_GRACE = 10.0  # seconds for a process to notice by itself that another one failed
_INTERVAL = 0.2


class Terminated(SystemExit):
    """Raised on SIGTERM; the exit code is 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Termination(Callback):
    """Replaces Lightning's SIGTERM handler by one that raises `Terminated`.

    Lightning 2.6 waits for the end of the batch, broadcasts within the signal handler (a deadlock
    if ranks are at different places) and exits with code 0. Under SLURM its handler also requeues
    the job, and is kept.
    """

    def __init__(self, processes: "ProcessWatcher") -> None:
        self.processes = processes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the handler, which Lightning has just installed."""
        install()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replaces the handler, which Lightning has just installed."""
        install()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Terminates the other processes, which wait for this one."""
        self.processes.end()


class ProcessWatcher:
    """Watches the processes that Lightning's launcher starts besides the first one.

    Lightning's own watcher kills the first process with SIGKILL when another has failed, so that
    the run would stay RUNNING forever. This one replaces it (docs/decisions/0008): it calls
    `on_death`, which ends this process, in a thread if another process has failed and this one has
    not noticed for ten seconds, e.g. in a collective operation.
    """

    def __init__(self, on_death: Callable[[], None]) -> None:
        self._on_death = on_death
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_over = threading.Event()

    def watch(self, trainer: Trainer) -> None:
        """Starts watching, if Lightning starts processes."""
        launcher = trainer.strategy.launcher
        if hasattr(launcher, "procs"):
            threading.Thread(target=self._work, args=(launcher,), daemon=True).start()

    def end(self) -> None:
        """Stops watching and terminates the processes."""
        self._is_over.set()
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def _work(self, launcher: Any) -> None:  # noqa: ANN401 (a private class)
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
    """Restores the default action of SIGTERM."""
    if signal.getsignal(signal.SIGTERM) is _raise:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(signum: int, frame: FrameType | None) -> None:
    if _is_in_destructor(frame):  # Python would print the exception and continue
        threading.Timer(_INTERVAL, os.kill, (os.getpid(), signum)).start()
        return
    raise Terminated


def _is_in_destructor(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
