"""Notices when another process of a DDP job has died."""

import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Trainer

_GRACE = 10.0  # seconds for a process to notice by itself that another one failed
_INTERVAL = 0.2


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
