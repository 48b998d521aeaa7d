"""Checks the database of the trials of a sweep before it is used."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.tracking.secrets import redact_address
from pipeline.tracking.store import reason

_CONNECT = 5  # seconds for one address
_PATIENCE = 8.0  # seconds for all addresses and their names
_SQLITE = b"SQLite format 3\0"  # first bytes of a database


def check_storage(url: str) -> None:
    """Raises `InputError` within ten seconds for a database that cannot be used; creates none."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError

    with refusing_storage(url):
        try:
            address = make_url(url)
        except (SQLAlchemyError, ValueError) as error:
            raise InputError(
                f"--storage {redact_address(url)} is not an address of a database; expected for "
                "example sqlite:///study.db or postgresql+psycopg://host/database"
            ) from error
        if address.get_backend_name() == "sqlite" and _is_new_file(url, address.database):
            return
        engine = create_engine(address, connect_args=connect_args(url))
        found = _within(lambda: engine.connect().close())
        if found is not None:
            raise found


def _is_new_file(url: str, database: str | None) -> bool:
    if not database or database == ":memory:":
        raise InputError(
            f"--storage {url} is in memory only; name a file, as in sqlite:///study.db"
        )
    path = Path(database)
    if not path.parent.is_dir():
        raise InputError(f"--storage {url}: there is no folder {path.parent}; create it first")
    if not path.exists():
        return True
    if not path.is_file() or _start(path) not in (b"", _SQLITE):
        raise InputError(f"--storage {url}: {path} is not an SQLite database; name another file")
    return False


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_SQLITE))


def connect_args(url: str) -> dict[str, Any]:
    """Returns arguments of a database driver that limit how long it waits."""
    from sqlalchemy import make_url

    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return {"timeout": 60}
    drivers = ("psycopg", "psycopg2", "pymysql", "mysqldb")
    return {"connect_timeout": _CONNECT} if address.get_driver_name() in drivers else {}


def _within(connect: Any) -> BaseException | None:  # noqa: ANN401 (a function without result)
    """Calls a function, and returns its error; names and addresses may take longer than limits."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            connect()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if thread.is_alive():
        return TimeoutError(f"no answer within {_PATIENCE:.0f} seconds")
    return errors[0] if errors else None


@contextlib.contextmanager
def refusing_storage(url: str) -> Iterator[None]:
    """Converts errors of a database, of its driver and of Optuna to `InputError`."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    shown = f"--storage {redact_address(url)}"
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{shown} needs the Python package {error.name}, which is not installed; install it, "
            "or use an SQLite file"
        ) from error
    except (SQLAlchemyError, OptunaError, OSError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, OptunaError) else None
        why = reason(cause if isinstance(cause, Exception) else error)
        raise InputError(
            f"{shown} cannot be used: {why}; check the database and its address"
        ) from error
