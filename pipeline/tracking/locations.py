"""Checks where the tracking store says that files of a run are, before any is read or written.

A store, or on a shared server another user, chooses these addresses. MLflow follows them: to any
folder of this machine, and with the password of the tracking server to any other server.
"""

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from pipeline.errors import InputError, shortened
from pipeline.tracking.own_files import checked_id
from pipeline.tracking.secrets import redact_address

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOSTS = "UNROLL_ARTIFACT_HOSTS"
"""Environment variable with further servers of artifacts, `host:port`, separated by commas."""

_PORTS = {"http": 80, "https": 443}


def check_location(address: str, owner: str, tracking_uri: str) -> None:
    """Checks the address of the artifacts of a run or model, whose id is `owner`.

    Folders of this machine must be named as MLflow does, `<any>/<id>/artifacts`, so that no other
    file can be read or replaced. Raises `InputError` for any other folder or server.

    Example:
        >>> check_location("file:///data/mlruns/3/abc/artifacts", "abc", "sqlite:///mlflow.db")
        >>> check_location("file:///home/ann", "abc", "sqlite:///mlflow.db")
        Traceback (most recent call last):
        ...
        pipeline.errors.InputError: the tracking store says that the files of abc are in ...
    """
    check_server(address, tracking_uri)
    folder = local_folder(address)
    if folder is None:
        return
    places = PurePosixPath(folder).parts
    if ".." in places or places[-2:] != (checked_id(owner), "artifacts"):
        raise InputError(
            f"the tracking store says that the files of {owner} are in {_shown(address)}; expected "
            "a folder whose name ends with the id and /artifacts, as MLflow makes them"
        )


def check_server(address: str, tracking_uri: str) -> None:
    """Raises `InputError` if artifacts are on another server, which would get the password."""
    parts = urlsplit(address)
    if parts.scheme in ("runs", "models"):
        raise InputError(
            f"the tracking store says that artifacts are in {_shown(address)}, which is the "
            "address of others; expected a folder or server"
        )
    if parts.scheme not in (*_PORTS, "mlflow-artifacts") or not parts.netloc:
        return
    known = [each.strip() for each in os.environ.get(HOSTS, "").split(",")]
    server = _server(parts)
    if server != _server(urlsplit(tracking_uri)) and server not in known:
        raise InputError(
            f"the tracking store says that artifacts are on the server {server}, which would get "
            f"your files and the password of the tracking server; if you trust it, set {HOSTS} to "
            "it"
        )


def check_run(client: "MlflowClient", run_id: str) -> None:
    """Checks the address of the artifacts of a run."""
    check_location(client.get_run(run_id).info.artifact_uri, run_id, client.tracking_uri)


def local_folder(address: str) -> Path | None:
    """Returns the folder on this machine that an address names; None if it names none."""
    parts = urlsplit(address)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path)) if parts.scheme else Path(address)


def _server(parts: SplitResult) -> str:
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # no number
        port = None
    host = parts.hostname or ""
    return f"{host}:{port}" if port else host


def _shown(address: str) -> str:
    return shortened(redact_address(address))
