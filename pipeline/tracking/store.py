"""Where runs are kept: the tracking store, opened once and safely by any number of processes."""

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

SQLITE = "sqlite:///"
# What the pages of MLflow guess otherwise, and ask about.
_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# What a person has set is left alone. MLflow's own retries may last minutes per request; ours
# (`writer.py`) keep what is logged safe meanwhile, so that one quick retry inside is enough.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # cluster nodes are often offline, and nobody was asked
}


def tracking_uri() -> str:
    """Returns MLFLOW_TRACKING_URI, or else `mlflow.db` in the current folder.

    The path of an SQLite file is made absolute, so that it stays the same file for processes that
    run in another folder.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    path = sqlite_path(uri)
    return uri if path is None else f"{SQLITE}{path}"


def sqlite_path(uri: str) -> Path | None:
    """Returns the absolute path of an SQLite store's file, None for any other store."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def shown(uri: str) -> str:
    """Returns the address without user name and password, for messages."""
    return re.sub(r"://[^/@]*@", "://", uri)


def reason(error: Exception) -> str:
    """Returns what an error says, on one line, short and without passwords."""
    return shown(" ".join(str(error).split()))[:300].rstrip(".")


def open_store() -> "MlflowClient":
    """Opens the tracking store, making a new SQLite file if it is one and does not exist yet.

    Raises:
        InputError: The store cannot be opened.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    _silence()
    uri = tracking_uri()
    with refusing(uri):
        path = sqlite_path(uri)
        if path is not None:
            _prepare_sqlite(path)
        return MlflowClient(uri)


@contextlib.contextmanager
def refusing(uri: str) -> Iterator[None]:
    """Turns an error of the store into one sentence for the person who named it."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise InputError(
            f"the tracking store {shown(uri)} cannot be used: {reason(error)}; check it, or "
            "name another with MLFLOW_TRACKING_URI"
        ) from error


def _silence() -> None:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It prints a traceback for an error that is also raised, and so told by us.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # What they warn of is the use that they make of each other: nothing that a person could mend.
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)(\.|$)")


def _prepare_sqlite(path: Path) -> None:
    """Makes the file complete or not at all: under another name, by one process, then renamed.

    Processes that open a new file at once would migrate it at once and leave it unusable; so
    would one that is killed while it does.
    """
    if _is_there(path):
        return
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_there(path):
            _create_sqlite(path)


def _is_there(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise InputError(
                f"{path} is not an SQLite database, which the tracking store {SQLITE}{path} must "
                "be; move it away or set MLFLOW_TRACKING_URI"
            )
    return True


def _create_sqlite(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    # Alembic's configuration sets levels of its own while it migrates.
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        store = SqlAlchemyStore(  # type: ignore[no-untyped-call]
            f"{SQLITE}{unfinished}", str(path.parent / "mlruns")
        )
        store.engine.dispose()
    finally:
        logging.disable(previous)
    unfinished.replace(path)


def experiment_id(client: "MlflowClient", name: str) -> str:
    """Returns the id of the experiment of that name, which is created if there is none.

    For an SQLite store the artifacts go to `mlruns/<experiment>` beside the file, whatever the
    current folder; a server decides itself.

    Raises:
        InputError: The experiment was deleted.
    """
    found = client.get_experiment_by_name(name) or _create_experiment(client, name)
    if found.lifecycle_stage == "deleted":
        raise InputError(
            f"the experiment {name} was deleted; bring it back with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return str(found.experiment_id)


def _create_experiment(client: "MlflowClient", name: str) -> "Experiment":
    from mlflow.exceptions import MlflowException

    path = sqlite_path(client.tracking_uri)
    folder = None if path is None else (path.parent / "mlruns" / name).as_uri()
    try:
        return client.get_experiment(client.create_experiment(name, folder, _TAGS))
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found  # another process was first
