"""Commands in fresh processes without the five seconds of imports: a loaded process that forks.

A child differs from `python -m pipeline` in what it finds: the libraries are imported (no module of
this project is), with one seed of Python's hashes for all children and one thread, and what acts on
a start or an import only (PYTHON*, OMP_*, MKL_*) has no effect. `tests.harness.unroll` makes a
process from nothing where that matters, `start` always.
"""

import atexit
import contextlib
import gc
import json
import os
import random
import runpy
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

LIBRARIES = (
    "torch",
    "torchmetrics",
    "lightning.pytorch",
    "jsonargparse",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
)


class Server:
    """The loaded process, which answers one request after another."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._child: int | None = None
        atexit.register(self.close)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def run(
        self,
        arguments: list[str],
        environment: dict[str, str],
        outputs: tuple[Path, Path],
        timeout: float,
    ) -> int:
        """Runs `python -m pipeline ARGUMENTS` in the current folder and returns its exit status.

        `outputs` are files for stdout and stderr; a command that takes longer than `timeout`
        seconds is killed, with subprocess.TimeoutExpired.
        """
        request = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(Path.cwd()),
            "outputs": [str(path) for path in outputs],
        }
        assert self._process.stdin is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            self._child = self._answer(120)  # the first request waits for the imports
            status = self._answer(timeout)
        except TimeoutError:
            self.close()
            raise subprocess.TimeoutExpired(arguments, timeout) from None
        except BaseException:
            self.close()  # the next answer would be to this request
            raise
        self._child = None
        return status

    def _answer(self, timeout: float) -> int:
        assert self._process.stdout is not None
        answers, line = self._process.stdout.fileno(), b""
        end = time.monotonic() + timeout
        while not line.endswith(b"\n"):  # no buffer, which `select` would not see
            ready, _, _ = select.select([answers], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            byte = os.read(answers, 1)
            if not byte:
                raise RuntimeError(f"the loaded process ended with {self._process.wait(30)}")
            line += byte
        return int(line)

    def close(self) -> None:
        if self.is_alive:  # its group: a child that has none of its own yet, too
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child, signal.SIGKILL)
            self._child = None
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):  # ValueError: read before
            self._process.communicate(timeout=30)


def serve() -> list[str] | None:
    """Forks for each request; returns the arguments of its command in a child, None at the end."""
    for name in LIBRARIES:
        __import__(name)
    # (Arrow's allocator has one of its own, and starts it again in a child.)
    assert threading.active_count() == 1, "a library started a thread, which no child would have"
    # A child that ends would look through all that was imported, and copy it so: two seconds.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            return _become(request)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(request: dict) -> list[str]:
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, path in enumerate([os.devnull, *request["outputs"]]):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0)  # the other one has read on
    sys.path[0] = request["folder"]
    random.seed()
    sys.modules["numpy"].random.seed()
    return request["arguments"]


if __name__ == "__main__":
    given = serve()
    if given is not None:
        sys.argv = ["pipeline", *given]
        runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
