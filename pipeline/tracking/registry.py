"""Finds the models of runs and registered models, downloads their checkpoints, moves aliases."""

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import InputError
from pipeline.tracking.locations import check_location
from pipeline.tracking.lookup import downloaded_file, existing_store, find_run
from pipeline.tracking.models import (
    CHALLENGER,
    CHAMPION,
    CHECKPOINT,
    DIGEST_TAG,
    models_of,
    register_version,
)
from pipeline.tracking.own_files import checked_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

SCHEME = "models:/"
_NAME = re.compile(r"[\w.-]+")
_ADDRESS = re.compile(r"models:/(?P<name>[\w.-]+)(?:@(?P<alias>[\w.-]+)|/(?P<version>\d+))")


class Source(NamedTuple):
    """A logged model and the run that trained it."""

    model_id: str
    run_id: str


class Promoted(NamedTuple):
    """The version of a registered model that is the champion now, and the one that was before."""

    version: str
    run_id: str
    before: str | None


def check_name(flag: str, name: str) -> None:
    """Raises `InputError` if a registered model cannot have this name."""
    if not _NAME.fullmatch(name) or name.strip(".") == "":
        raise InputError(
            f"{flag} {name!r} cannot be the name of a registered model; use letters, digits, "
            "hyphens, underscores and dots only"
        )


def find_model(address: str) -> Source:
    """Returns the model with an address `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises `InputError` if there is no such model, or it is none of Unroll.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(
            f"{address!r} is no address of a model; expected models:/NAME@ALIAS or "
            "models:/NAME/VERSION"
        )
    with existing_store() as client:
        return _ours(client, _version(client, match["name"], match["alias"], match["version"]))


def model_of_run(run_id: str) -> Source:
    """Returns the latest complete model of a run; raises `InputError` if it has none."""
    with existing_store() as client:
        run = client.get_run(run_id)
        for model in models_of(client, run):
            if str(model.status) == "READY" and DIGEST_TAG in model.tags:
                return Source(model.model_id, run_id)
    if run.info.status in ("RUNNING", "SCHEDULED"):
        raise InputError(
            f"run {run_id} is still being trained, so the tracking store has no model of it yet; "
            "wait until it has ended, or give --checkpoint on the machine that trains it"
        )
    raise InputError(
        f"run {run_id} has no model: it ended with status {run.info.status} without a checkpoint; "
        "name another run, or train it again"
    )


def download_model(source: Source, target: Path) -> Path:
    """Downloads the checkpoint of a model to a file; an interrupted download leaves nothing."""
    with existing_store() as client:
        model: LoggedModel = client.get_logged_model(source.model_id)
        check_location(model.artifact_location, source.model_id, client.tracking_uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unfinished-") as unfinished:
            from mlflow.artifacts import download_artifacts

            local = download_artifacts(
                f"{model.artifact_location}/{CHECKPOINT}",
                dst_path=unfinished,
                tracking_uri=client.tracking_uri,
            )
            os.replace(downloaded_file(local, unfinished), target)
    return target


def promote(name: str, version: int | None, run: str | None) -> Promoted:
    """Sets the alias `champion` of a registered model to one of its versions.

    This is `version`, or the model of the run `run`, which is registered if it is not yet, or by
    default the challenger. Raises `InputError` if there is no such model, version or run, or the
    model is none of Unroll.
    """
    check_name("model", name)
    source = None if run is None else model_of_run(find_run(run))
    with existing_store() as client:
        number = None if version is None else str(version)
        if source is not None:
            number = register_version(client, name, source.run_id, source.model_id)
        found = _version(client, name, CHALLENGER if number is None else None, number)
        _ours(client, found)
        before = client.get_registered_model(name).aliases.get(CHAMPION)
        client.set_registered_model_alias(name, CHAMPION, str(found.version))
    return Promoted(str(found.version), found.run_id or "", before and str(before))


def _ours(client: "MlflowClient", version: "ModelVersion") -> Source:
    """Returns the logged model of a version; raises `InputError` if Unroll did not log it."""
    from mlflow.exceptions import MlflowException

    address, source = f"{SCHEME}{version.name}/{version.version}", version.source or ""
    if source.startswith(SCHEME) and version.run_id:
        found = Source(checked_id(source.removeprefix(SCHEME)), checked_id(version.run_id))
        try:
            if DIGEST_TAG in client.get_logged_model(found.model_id).tags:
                return found
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise InputError(
                f"the logged model {found.model_id} of {address} was deleted; name another version"
            ) from None
    raise InputError(
        f"{address} was not logged by Unroll; name a model of `unroll train --register`"
    )


def _version(
    client: "MlflowClient", name: str, alias: str | None, version: str | None
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, str(version))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
    known = sorted(model.name for model in client.search_registered_models())
    if name not in known:
        raise InputError(
            f"no registered model {name!r}; the tracking store has {', '.join(known) or 'none'}; "
            "`unroll train --register NAME` registers one"
        )
    aliases = client.get_registered_model(name).aliases
    listed = ", ".join(f"{alias} (version {number})" for alias, number in aliases.items())
    what = f"alias {alias}" if alias is not None else f"version {version}"
    raise InputError(f"registered model {name} has no {what}; its aliases: {listed or 'none'}")
