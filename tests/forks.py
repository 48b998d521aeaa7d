"""Commands in fresh processes without the five seconds of imports: a loaded process that forks.

A child differs from `python -m pipeline` in one thing: the libraries are there already (no module
of this project is). `tests.harness.start` and `launcher=` still make processes from nothing.
"""

import atexit
import gc
import json
import os
import random
import runpy
import subprocess
import sys
import threading
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
    """The loaded process, which answers one request after another.

    Args:
        environment: of its start; each child has its own.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def run(
        self, arguments: list[str], environment: dict[str, str], output: Path, errors: Path
    ) -> int:
        """Runs `python -m pipeline ARGUMENTS` in the current folder and returns its exit status.

        Raises:
            RuntimeError: the server has died.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(Path.cwd()),
            "outputs": [str(output), str(errors)],
        }
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of forks has died, status {self.process.wait()}")
        return int(answer)

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.communicate()


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
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(request: dict) -> list[str]:
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
    return request["arguments"]


if __name__ == "__main__":
    given = serve()
    if given is not None:
        sys.argv = ["pipeline", *given]
        runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
