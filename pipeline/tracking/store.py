"""Opens the tracking store, safely for any number of processes at once."""

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.console import printable
from pipeline.errors import InputError
from pipeline.tracking.locations import check_server
from pipeline.tracking.secrets import redact, redact_address

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

SQLITE = "sqlite:///"
LOCK_WAIT = 120.0  # seconds for another process to create the database
# Without this tag MLflow's web pages guess the kind of experiment and ask.
_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# Used unless set by the user. MLflow's own retries may take minutes per request; `writer.py`
# retries and keeps the records meanwhile, so one quick retry inside MLflow is enough.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # cluster nodes are often offline, and users did not agree
}


def tracking_uri() -> str:
    """Returns MLFLOW_TRACKING_URI, by default `mlflow.db` in the current folder.

    SQLite paths are made absolute, so that processes in other folders use the same file.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    path = sqlite_path(uri)
    return uri if path is None else f"{SQLITE}{path}"


def sqlite_path(uri: str) -> Path | None:
    """Returns the absolute path of an SQLite store; None for other stores."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def reason(error: Exception) -> str:
    """Returns an error message on one line, shortened and without secrets, SQL and its links."""
    text = str(error).partition("[SQL:")[0].partition("(Background on this error")[0]
    return printable(redact(" ".join(text.split())))[:300].rstrip(". ")


_MEANINGS = (
    ("Connection refused", "connection refused"),
    ("Name or service not known", "the host name is not known"),
    ("name resolution", "the host name is not known"),
    ("timed out", "no answer in time"),
    ("error code 404", "no MLflow server answers there"),
    ("not in a valid JSON format", "no MLflow server answers there"),
    (
        "maintenance mode",
        "MLflow no longer supports folders; `mlflow migrate-filestore` moves runs",
    ),
    (
        "unsupported URI",
        "unknown kind of address; expected http://, https://, sqlite:///, postgresql://, mysql:// "
        "or mssql://",
    ),
)


def why(error: Exception) -> str:
    """Returns the reason for an error of a store, in plain words for the most frequent ones."""
    text = str(error)
    return next((meaning for words, meaning in _MEANINGS if words in text), reason(error))


def check_address(uri: str) -> None:
    """Raises `InputError` for an address that its clients would divide at the wrong places.

    They would take a part of the password for the host, and print it.
    """
    if uri.startswith(SQLITE) or "@" not in uri or "://" not in uri:
        return
    rest = uri.partition("://")[2]
    user = rest.rpartition("@")[0]
    is_divided = any(mark in user for mark in ("/?#" if uri.startswith("http") else "@"))
    if is_divided:
        raise InputError(
            f"MLFLOW_TRACKING_URI ({redact_address(uri)}) has a user name or password that is not "
            "percent-encoded; write / as %2F, @ as %40, : as %3A, ? as %3F and # as %23"
        )


def open_store() -> "MlflowClient":
    """Opens the tracking store; a missing SQLite file is created."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    _silence()
    uri = tracking_uri()
    check_address(uri)
    with refusing(uri):
        path = sqlite_path(uri)
        if path is not None:
            _prepare_sqlite(path)
        return MlflowClient(uri)


@contextlib.contextmanager
def refusing(uri: str) -> Iterator[None]:
    """Converts errors of the store, its database and the database's driver to `InputError`."""
    from mlflow.exceptions import MlflowException

    errors: tuple[type[Exception], ...] = (
        MlflowException,
        OSError,
        UnicodeError,
        *_database_errors(),
    )
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"tracking store {redact_address(uri)} needs the Python package {error.name}, which is "
            f"not installed; install it (`pip install {error.name}`), or set MLFLOW_TRACKING_URI "
            "to another store"
        ) from error
    except errors as error:
        if "error code 401" in str(error) or "error code 403" in str(error):
            raise InputError(
                f"tracking store {redact_address(uri)} needs a user name and a password; set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            ) from error
        raise InputError(
            f"cannot use tracking store {redact_address(uri)}: {why(error)}; check it, or set "
            "MLFLOW_TRACKING_URI to another store"
        ) from error


def _database_errors() -> tuple[type[Exception], ...]:
    """Returns the errors of databases, which MLflow passes on; none if only its client is there."""
    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError:
        return ()
    return (SQLAlchemyError,)


def _silence() -> None:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # This logger prints a traceback for errors that are raised too.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # These libraries warn about how they use each other, which users cannot change.
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)(\.|$)")


def _prepare_sqlite(path: Path) -> None:
    """Creates the database in one process, under a temporary name that is renamed when complete.

    Several processes that migrate a new file at once, or one that is killed meanwhile, would leave
    an unusable file.
    """
    if _exists(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        _wait_for(lock, path)
        if not _exists(path):
            _create_sqlite(path)


def _wait_for(lock: IO[str], path: Path) -> None:
    import fcntl

    end = time.monotonic() + LOCK_WAIT
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise InputError(
                    f"another process has held {lock.name} for {LOCK_WAIT:.0f} seconds without "
                    f"completing {path}; end that process and start again"
                ) from None
        time.sleep(0.02)


def _exists(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise InputError(
                f"{path} is not an SQLite database, as expected for the tracking store; move the "
                "file away, or set MLFLOW_TRACKING_URI to another store"
            )
    return True


def _create_sqlite(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    # Alembic sets log levels during the migration.
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


NOTE_TAG = "mlflow.note.content"
"""Tag with the description of a run or experiment, in Markdown."""


def experiment_id(client: "MlflowClient", name: str) -> str:
    """Returns the id of an experiment, which is created if missing.

    Artifacts of an SQLite store are in `mlruns/<experiment>` next to the file; a server decides
    itself.
    """
    found = client.get_experiment_by_name(name) or _create_experiment(client, name)
    if found.lifecycle_stage == "deleted":
        raise InputError(
            f"experiment {name} was deleted; restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    check_server(found.artifact_location or "", client.tracking_uri)
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
        return found  # created by another process
