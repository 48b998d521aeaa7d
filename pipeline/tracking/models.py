"""Logs trained models as MLflow LoggedModels, which hold the checkpoint, and registers them.

A model is logged by client calls, since MLflow's `log_model` infers requirements by running the
model. Its code is the file `SCRIPT` of this installation, never a file of a run folder.
"""

import hashlib
import importlib.metadata
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.tracking.locations import check_location

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run
    from mlflow.models import Model as ModelFile

SCRIPT = Path(__file__).parents[1] / "inference" / "serving" / "script.py"
"""The code of the model; MLflow runs a copy of it."""
CHECKPOINT = "artifacts/best.ckpt"
"""Path of the checkpoint in a logged model."""
DIGEST_TAG = "unroll.sha256"
CHALLENGER, CHAMPION = "challenger", "champion"
REQUIREMENTS = (
    "jaxtyping",
    "jsonargparse",
    "lightning",
    "mlflow",
    "nltk",
    "numpy",
    "psutil",
    "pyyaml",
    "rich",
    "seqeval",
    "torch",
    "torchmetrics",
)
"""Packages, besides Unroll itself, that a model needs."""
_MAX_VALUE = 250  # characters of a parameter, which MLflow shows in a table


def send_model(
    client: "MlflowClient",
    run_id: str,
    checkpoint: Path,
    description: Mapping[str, str],
    metrics: "list[Metric]",
    register: str | None,
) -> None:
    """Logs a checkpoint as the model of a run.

    Sending the same checkpoint twice logs one model. `description` is that of
    `pipeline.inference.serving`; `metrics` are metrics of the run that the model has.
    """
    run = client.get_run(run_id)
    digest = _sha256(checkpoint)
    found = (each for each in models_of(client, run) if each.tags.get(DIGEST_TAG) == digest)
    model = next(found, None) or _create(client, run, description["kind"], digest)
    if str(model.status) != "READY":
        check_location(model.artifact_location, model.model_id, client.tracking_uri)
        client.log_model_artifact(model.model_id, str(checkpoint), Path(CHECKPOINT).parent.name)
        with tempfile.TemporaryDirectory(dir=checkpoint.parent) as folder:
            _write_files(Path(folder), model, description)
            client.log_model_artifacts(model.model_id, folder)
        client.finalize_logged_model(model.model_id, "READY")
    _link(client, run, model.model_id, metrics)
    if register is not None:
        register_version(client, register, run_id, model.model_id)


def models_of(client: "MlflowClient", run: "Run") -> "Iterator[LoggedModel]":
    """Yields the logged models of a run, latest first."""
    yield from client.search_logged_models(
        [run.info.experiment_id],
        filter_string=f"source_run_id = '{run.info.run_id}'",
        order_by=[{"field_name": "creation_time", "ascending": False}],
    )


def register_version(client: "MlflowClient", name: str, run_id: str, model_id: str) -> str:
    """Registers a logged model once, as the challenger, and returns its version."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"models:/{model_id}"
    known = client.search_model_versions(f"name = '{name}'")
    found = [str(each.version) for each in known if each.source == source]
    if not found:
        version = client.create_model_version(name, source, run_id=run_id, model_id=model_id)
        found = [str(version.version)]
    client.set_registered_model_alias(name, CHALLENGER, found[0])
    return found[0]


def _create(client: "MlflowClient", run: "Run", kind: str, digest: str) -> "LoggedModel":
    params = {key: value for key, value in run.data.params.items() if len(value) <= _MAX_VALUE}
    return client.create_logged_model(
        run.info.experiment_id,
        name=re.sub(r"[^\w-]", "-", run.info.run_name or "model"),
        source_run_id=run.info.run_id,
        tags={DIGEST_TAG: digest},
        params=params,
        model_type=kind,
    )


def _link(client: "MlflowClient", run: "Run", model_id: str, metrics: "list[Metric]") -> None:
    """Links a model to its run and to the run's metrics; the run keeps one of each metric."""
    from mlflow import entities

    outputs = run.outputs.model_outputs if run.outputs else []
    if all(output.model_id != model_id for output in outputs):
        step = max((metric.step for metric in metrics), default=0)
        client.log_outputs(run.info.run_id, [entities.LoggedModelOutput(model_id, step)])
    if metrics:
        values = [(metric.key, metric.value, metric.timestamp, metric.step) for metric in metrics]
        linked = [entities.Metric(*value, model_id=model_id) for value in values]
        client.log_batch(run.info.run_id, metrics=linked)


def _write_files(folder: Path, model: "LoggedModel", description: Mapping[str, str]) -> None:
    """Writes all files of a logged model except its checkpoint."""
    lines = requirements()
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
    environment = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(yaml.safe_dump(environment, sort_keys=False))
    written = _model_file(model, description)
    if "example" in description:
        (folder / "input_example.json").write_text(description["example"])
        shutil.copyfile(SCRIPT, folder / SCRIPT.name)
    written.save(str(folder / "MLmodel"))


def _model_file(model: "LoggedModel", description: Mapping[str, str]) -> "ModelFile":
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature

    signature, example = None, None
    if "example" in description:
        keys = ("inputs", "outputs", "params")
        signature = ModelSignature.from_dict({key: description.get(key) for key in keys})
        example = {
            "artifact_path": "input_example.json",
            "type": "dataframe",
            "pandas_orient": "split",
        }
    written = Model(
        run_id=model.source_run_id,
        signature=signature,
        saved_input_example_info=example,
        model_id=model.model_id,
    )
    written.add_flavor("unroll", checkpoint=CHECKPOINT, kind=description["kind"])
    if "example" in description:
        pyfunc.add_to_model(
            written,
            loader_module="mlflow.pyfunc.model",
            python_env="python_env.yaml",
            model_code_path=SCRIPT.name,
            python_model=None,
            streamable=False,
            artifacts={"checkpoint": {"path": CHECKPOINT, "uri": CHECKPOINT}},
        )
    return written


def requirements() -> list[str]:
    """Returns pinned requirements of a model, without Unroll itself, such as "torch==2.13.0"."""
    found: dict[str, Any] = {name: importlib.metadata.version(name) for name in REQUIREMENTS}
    return [f"{name}=={version.partition('+')[0]}" for name, version in found.items()]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
