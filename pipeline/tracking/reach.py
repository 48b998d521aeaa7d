"""Finds out within seconds whether a tracking store on another machine answers."""

import socket
import threading
import urllib.parse

from pipeline.console import is_first_process
from pipeline.errors import InputError
from pipeline.tracking.secrets import redact_address
from pipeline.tracking.store import (
    check_address,
    open_store,
    refusing,
    sqlite_path,
    tracking_uri,
    why,
)

_SECONDS = 5.0  # for the connection, and again for the answer
_LONGEST = 8.0  # for everything, since name servers have no time limit
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def require_store() -> None:
    """Raises `InputError` within 8 seconds if the tracking store cannot be used.

    Called before a training is prepared, which takes longer. Only the first process asks.
    """
    uri = tracking_uri()
    if is_first_process() and sqlite_path(uri) is None:
        with refusing(uri):
            require_answer(uri)
            open_store().search_experiments(max_results=1)  # needs a password, for example


def require_answer(uri: str) -> None:
    """Raises `InputError` within 8 seconds if no server answers at the address of a store.

    Stores that are files are not checked. MLflow's own requests wait for minutes. Raises
    `ModuleNotFoundError` if the driver of a database is not installed.
    """
    if not uri.startswith(("http://", "https://", *_PORTS)):
        return
    check_address(uri)
    if not uri.startswith("http"):
        from sqlalchemy.engine import make_url

        make_url(uri).get_dialect().import_dbapi()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            _ask(uri)
        except (OSError, ValueError) as error:  # requests derives its errors from OSError
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_LONGEST)
    if thread.is_alive():
        errors.append(TimeoutError(f"no answer within {_LONGEST:.0f} seconds"))
    if errors:
        is_silent = "timed out" in str(errors[0])
        reason = f"no answer within {_SECONDS:.0f} seconds" if is_silent else why(errors[0])
        raise InputError(
            f"cannot use tracking store {redact_address(uri)}: {reason}; check the "
            "address and that the server runs, or set MLFLOW_TRACKING_URI to another store"
        )


def _ask(uri: str) -> None:
    if uri.startswith("http"):
        import requests

        answer = requests.get(uri, timeout=_SECONDS, stream=True, allow_redirects=False)
        answer.close()  # any answer will do: MLflow's requests report wrong passwords
        return
    parts = urllib.parse.urlsplit(uri)
    kind = parts.scheme.partition("+")[0]
    if parts.hostname:  # otherwise a local socket
        socket.create_connection((parts.hostname, parts.port or _PORTS[kind]), _SECONDS).close()
