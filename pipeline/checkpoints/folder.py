"""Where runs keep their files: `outputs/<run id>/`, or `$UNROLL_OUTPUTS/<run id>/`."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError


def outputs_root() -> Path:
    """Returns the folder that contains the folders of runs."""
    return Path(os.environ.get("UNROLL_OUTPUTS", "outputs")).absolute()


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: Folder of the run; its name is the run id.
    """

    path: Path

    @classmethod
    def of(cls, run_id: str) -> "RunFolder":
        """Returns the folder of a run id, whether or not it exists."""
        return cls(outputs_root() / run_id)

    @property
    def run_id(self) -> str:
        """The MLflow id of the run."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved configuration; `--config` takes it."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """Holds `best.ckpt` and `last.ckpt`."""
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        """Holds what the test showed."""
        return self.path / "report"

    @property
    def last(self) -> Path:
        """The checkpoint that training goes on from."""
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation score."""
        return self.checkpoints / "best.ckpt"

    @property
    def name(self) -> str:
        """The run's name; empty if it never got one."""
        try:
            return str(json.loads((self.path / "run.json").read_text(encoding="utf-8"))["name"])
        except (OSError, ValueError, KeyError):
            return ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Context in which no other process can train the run.

        Raises:
            InputError: If another process is training the run.
        """
        with (self.path / "lock").open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"run {self.run_id} is being trained by another process; wait until it has "
                    "ended, or end it first"
                ) from error
            yield

    def create(self, name: str, config: str) -> None:
        """Makes the folder and writes its name and resolved configuration."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "run.json", json.dumps({"name": name}))
        write_atomically(self.config, config)


def write_atomically(path: Path, text: str) -> None:
    """Writes text under a temporary name, then renames it, so that no file is ever partial."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def find_local(identifier: str) -> RunFolder | None:
    """Finds a run's folder by id, beginning of an id, or name.

    Returns:
        The folder, or None if no run on this machine matches.

    Raises:
        InputError: If several runs match.
    """
    folders = list(_folders())
    found = [f for f in folders if f.run_id == identifier]
    found = found or [f for f in folders if f.run_id.startswith(identifier) or f.name == identifier]
    if len(found) > 1:
        names = ", ".join(f"{f.run_id} ({f.name})" for f in found)
        raise InputError(f"run '{identifier}' could be any of {names}; give more of the id")
    return found[0] if found else None


def _folders() -> Iterator[RunFolder]:
    root = outputs_root()
    if root.is_dir():
        yield from (RunFolder(path) for path in sorted(root.iterdir()) if path.is_dir())
