"""Where runs keep their files: `outputs/<run id>/`, or `$UNROLL_OUTPUTS/<run id>/`."""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, os_error_sentence
from pipeline.tracking.own_files import checked_id, refuse_links


def outputs_root() -> Path:
    """Returns the folder that contains the folders of runs."""
    return Path(os.environ.get("UNROLL_OUTPUTS") or "outputs").absolute()


_NEEDED = 1 << 16  # bytes of the first files of a run


def prepare_outputs() -> None:
    """Makes the folder of the runs; raises `InputError` if no run can be written there."""
    root = outputs_root()
    with _explained():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(bytes(_NEEDED))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the folder of runs {outputs_root()} cannot be written ({os_error_sentence(error)}); "
            "set UNROLL_OUTPUTS to a folder that can"
        ) from error


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; the name of the folder is the id of the run."""

    path: Path

    @classmethod
    def of(cls, run_id: str) -> "RunFolder":
        """Returns the folder of a run id, whether or not it exists."""
        return cls(outputs_root() / checked_id(run_id))

    @classmethod
    def for_download(cls, run_id: str) -> "RunFolder":
        """Returns the folder of a run id for files of the tracking store.

        Raises `InputError` if it contains links out of it.
        """
        folder = cls.of(run_id)
        refuse_links(folder.path)
        return folder

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
        """Files of the test report."""
        return self.path / "report"

    @property
    def last(self) -> Path:
        """Checkpoint from which training continues."""
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation score."""
        return self.checkpoints / "best.ckpt"

    @property
    def name(self) -> str:
        """The run's name; empty if it never got one, or its file is damaged."""
        file = self.path / "run.json"
        try:
            name = json.loads(file.read_text(encoding="utf-8"))["name"] if file.is_file() else ""
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return ""
        return name if isinstance(name, str) else ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes this process the only one that trains the run, or raises `InputError`."""
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
        with _explained():
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / "run.json", json.dumps({"name": name}))
            write_atomically(self.config, config)


def write_atomically(path: Path, text: str) -> None:
    """Writes text under a temporary name, then renames it, so that no file is ever partial."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def find_local(identifier: str) -> RunFolder | None:
    """Returns the folder of a run with this id, beginning of an id, or name; None if there is none.

    Raises `InputError` if there are several, or if a symbolic link in the folder leads out of it.
    """
    folders = list(_folders())
    found = [f for f in folders if f.run_id == identifier]
    found = found or [f for f in folders if f.run_id.startswith(identifier) or f.name == identifier]
    if len(found) > 1:
        names = ", ".join(f"{f.run_id} ({f.name})" for f in found)
        raise InputError(f"run '{identifier}' could be any of {names}; give more of the id")
    for folder in found:
        refuse_links(folder.path)
    return found[0] if found else None


def _folders() -> Iterator[RunFolder]:
    root = outputs_root()
    if root.is_dir():
        yield from (RunFolder(path) for path in sorted(root.iterdir()) if path.is_dir())
