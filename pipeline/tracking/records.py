"""Records: logged values that can be written to a journal, read back and sent more than once."""

import dataclasses
import json
import logging
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from pipeline.tracking.copies import copy_in, remove_copy

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_METRICS = 1000  # per request; see mlflow.utils.validation
MAX_PAIRS = 100  # parameters or tags per request
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000
DIGEST_LENGTH = 8  # as in the digests of MLflow's own datasets
MAX_NAME_LENGTH = 250
DRIFT_TAG = "parameter_drift"

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A value at a step; `timestamp` in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclasses.dataclass(frozen=True)
class Params:
    """Parameters; existing ones are never changed."""

    values: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Tags:
    """Tags; a new value replaces the old one."""

    values: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class TextArtifact:
    """A text to be stored as artifact `artifact_path`."""

    text: str
    artifact_path: str


@dataclasses.dataclass(frozen=True)
class FileArtifact:
    """A copy of a file in a folder of its own; both are deleted after sending.

    `path` is relative to the folder of the run, `unsent/<own folder>/<file>`, so that the folder
    can be moved.
    """

    path: str
    folder: str | None


@dataclasses.dataclass(frozen=True)
class Model:
    """A copy of a checkpoint to be logged as the model of the run, and deleted after sending.

    `path` is as in `FileArtifact`; `description` is that of `pipeline.inference.serving`;
    `metrics` are the fields of metrics of the run that the model has; `register` is the name of a
    registered model, if any.
    """

    path: str
    description: Mapping[str, str]
    metrics: Sequence[Mapping[str, Any]]
    register: str | None


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An input dataset of the run; `context` is its use (train, valid, test)."""

    name: str
    digest: str
    source: str
    context: str
    profile: str


@dataclasses.dataclass(frozen=True)
class Status:
    """Status of the run; `time` in milliseconds since 1970."""

    status: str
    time: int


Record: TypeAlias = Metric | Params | Tags | TextArtifact | FileArtifact | Model | Dataset | Status
_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_KINDS: dict[str, type[Record]] = {kind.__name__: kind for kind in get_args(Record)}


def to_line(record: Record) -> str:
    """Formats a record as one line of JSON (with Python's NaN and Infinity)."""
    fields = dataclasses.asdict(record)
    return json.dumps({"kind": type(record).__name__, **fields}) + "\n"


def from_line(line: str) -> Record:
    """Parses a line written by `to_line`.

    Raises:
        ValueError: If the line has another format.
    """
    try:
        fields = json.loads(line)
        record = _KINDS[fields.pop("kind")](**fields)
        is_valid = _is_valid(record)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record: {line[:80]!r}") from error
    if not is_valid:
        raise ValueError(f"a record with a wrong value: {line[:80]!r}")
    return record


def is_name(name: object) -> bool:
    """Returns whether the store takes a name of a metric, parameter, tag or artifact.

    It is a relative path of at most 250 letters, digits, spaces and the characters _ . - / :
    """
    return (
        isinstance(name, str)
        and len(name) <= MAX_NAME_LENGTH
        and not any(part in ("", ".", "..") for part in name.split("/"))
        and re.fullmatch(r"[/\w.\- :]*", name) is not None
    )


def _is_valid(record: Record) -> bool:
    """Returns whether the fields of a record have the right types, and names that can be sent."""
    match record:
        case Metric(key, value, timestamp, step):
            is_number = type(value) in (int, float) and type(timestamp) is type(step) is int
            return is_name(key) and is_number
        case Params(values) | Tags(values):
            return all(is_name(key) and isinstance(text, str) for key, text in values.items())
        case TextArtifact(text, path):
            return isinstance(text, str) and is_name(path)
        case FileArtifact(path, folder):
            return isinstance(path, str) and (folder is None or is_name(folder))
        case Model(path, description, metrics, register):
            texts = (path, *description.values(), register or "")
            are_valid = all(_is_valid(Metric(**fields)) for fields in metrics)
            return are_valid and all(isinstance(text, str) for text in texts)
        case Dataset():
            return all(isinstance(text, str) for text in dataclasses.astuple(record))
        case Status(status, end):
            return status in _STATUSES and type(end) is int


def send(client: "MlflowClient", run_id: str, records: Sequence[Record], folder: Path) -> None:
    """Sends one record or up to `MAX_METRICS` metrics; sending twice changes nothing.

    `folder` is the folder of the run, which holds the copies of files.
    """
    first = records[0]
    match first:
        case Metric():
            _send_metrics(client, run_id, records)
        case Params():
            _send_params(client, run_id, first.values)
        case Tags():
            _send_tags(client, run_id, first.values)
        case TextArtifact():
            client.log_text(run_id, first.text, first.artifact_path)
        case FileArtifact() | Model():
            _send_copy(client, run_id, first, folder)
        case Dataset():
            _send_dataset(client, run_id, first)
        case Status():
            _send_status(client, run_id, first)


def _send_metrics(client: "MlflowClient", run_id: str, records: Sequence[Record]) -> None:
    from mlflow import entities

    metrics = [
        entities.Metric(record.key, record.value, record.timestamp, record.step)
        for record in records
        if isinstance(record, Metric)
    ]
    client.log_batch(run_id, metrics=metrics)


def _send_params(client: "MlflowClient", run_id: str, values: Mapping[str, str]) -> None:
    from mlflow import entities

    old = client.get_run(run_id).data.params
    new = [entities.Param(name, value) for name, value in values.items() if name not in old]
    for start in range(0, len(new), MAX_PAIRS):
        client.log_batch(run_id, params=new[start : start + MAX_PAIRS])
    drift = [
        f"{name}: {old[name]} -> {value}"
        for name, value in values.items()
        if name in old and not _same(old[name], value)
    ]
    if drift:
        client.set_tag(run_id, DRIFT_TAG, "; ".join(drift)[:MAX_TAG_LENGTH])


def _same(old: str, new: str) -> bool:
    """Compares values; `mlflow run -P` logs the typed text in quotes."""
    if old == new or old == shlex.quote(new):
        return True
    try:
        return float(old) == float(new)
    except ValueError:
        return False


def _send_tags(client: "MlflowClient", run_id: str, values: Mapping[str, str]) -> None:
    from mlflow import entities

    tags = [entities.RunTag(name, value) for name, value in values.items()]
    for start in range(0, len(tags), MAX_PAIRS):
        client.log_batch(run_id, tags=tags[start : start + MAX_PAIRS])


def _send_copy(
    client: "MlflowClient", run_id: str, record: FileArtifact | Model, folder: Path
) -> None:
    path = copy_in(folder, record.path)
    if not path.exists():
        _logger.warning("artifact %s is missing: already sent, or deleted by hand", path)
        return
    if isinstance(record, Model):
        _send_model(client, run_id, record, path)
    else:
        client.log_artifact(run_id, str(path), record.folder)
    remove_copy(path.parent)


def _send_model(client: "MlflowClient", run_id: str, model: Model, checkpoint: Path) -> None:
    from mlflow import entities

    from pipeline.tracking.models import send_model

    metrics = [entities.Metric(**fields) for fields in model.metrics]
    send_model(client, run_id, checkpoint, model.description, metrics, model.register)


def _send_dataset(client: "MlflowClient", run_id: str, dataset: Dataset) -> None:
    from mlflow import entities

    is_web = dataset.source.startswith(("http://", "https://"))
    entity = entities.Dataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="http" if is_web else "local",
        source=json.dumps({"url" if is_web else "uri": dataset.source}),
        profile=dataset.profile,
    )
    tag = entities.InputTag("mlflow.data.context", dataset.context)
    client.log_inputs(run_id, [entities.DatasetInput(entity, [tag])])


def _send_status(client: "MlflowClient", run_id: str, status: Status) -> None:
    if status.status in ("RUNNING", "SCHEDULED"):  # will continue, so no end time
        client.update_run(run_id, status=status.status)
    else:
        client.set_terminated(run_id, status.status, end_time=status.time)
