"""A Lightning logger that writes a training to one MLflow run."""

import json
import os
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from pipeline.tracking import records
from pipeline.tracking.outbox import Outbox, waiting
from pipeline.tracking.records import Record
from pipeline.tracking.run import OpenRun, describe_experiment, open_run, page_addresses
from pipeline.tracking.secrets import redact, without_secrets

FinalStatus = Literal["FINISHED", "FAILED", "KILLED", "SCHEDULED"]


class RunTracker(Logger):
    """A Lightning logger for one MLflow run. On ranks other than 0 every method does nothing.

    Logging never waits for the tracking store: threads send the values. While the store does not
    respond, training continues, and values are kept in `<outputs>/<run id>/tracking.jsonl`
    (artifacts in `artifacts.jsonl`, since their store may fail separately). They are sent when the
    store responds again, or when the run is resumed.

    The run stays RUNNING until `finish`, through any number of `Trainer.fit` and `Trainer.test`.
    Use `start` to create or resume a run.
    """

    def __init__(
        self, experiment: str, run_id: str | None, outputs: Path, run: OpenRun | None
    ) -> None:
        super().__init__()
        self._experiment = experiment
        self._run_id = run_id
        self._outputs = outputs.absolute()  # the current folder may change
        self._finished = False
        self._waits = False
        self._owns_scores = False
        self._results: dict[str, records.Metric] = {}
        self._run = run
        self._tables = _tables_of(self.tags)
        self._values = {} if run is None else dict(run.metrics)
        self._outbox = None if run is None else Outbox(run, self._outputs / run.run_id)

    @classmethod
    def start(
        cls,
        experiment: str,
        run_name: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        outputs: Path = Path("outputs"),
    ) -> Self:
        """Creates a run, or opens `run_id` or else the run MLFLOW_RUN_ID.

        The run `run_id` keeps its status until `resume`.

        `experiment` is that of a new run, and is created if missing; `run_name` is the name of a
        run that is new or was created by `mlflow run`. A resumed run keeps both. `outputs` contains
        one folder per run.

        Raises:
            InputError: If the store cannot be used, the run does not exist, or its journal is
                damaged.
        """
        if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
            return cls(experiment, run_id or os.environ.get("MLFLOW_RUN_ID"), outputs, None)
        if run_id is not None:
            waiting(outputs / run_id)  # reports a damaged journal before the run is opened
        run = open_run(experiment, run_name, run_id)
        tracker = cls(run.experiment, run.run_id, outputs, run)
        tracker._waits = run_id is not None
        tracker.set_tags(tags or {})
        tracker.log_params(params or {})
        return tracker

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self._experiment

    @property
    def run_name(self) -> str:
        """Name that the run had when it was opened; empty for a new run."""
        return "" if self._run is None else self._run.name

    @property
    def values(self) -> Mapping[str, float]:
        """Values of `log_values`, and the last metrics that the run had when it was opened."""
        return self._values

    @property
    def experiment_id(self) -> str:
        """Id of the experiment; "" on ranks other than 0."""
        return "" if self._run is None else self._run.experiment_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """URLs of the run's page and of its experiment's charts, if the store is a server."""
        return () if self._run is None else page_addresses(self._run)

    @property
    def version(self) -> str | None:
        """Run id; on ranks other than 0, None unless it was given."""
        return self._run_id

    @property
    def save_dir(self) -> str | None:
        """Folder of the run in `outputs`; None if the run id is not known."""
        return None if self._run_id is None else str(self._outputs / self._run_id)

    @property
    def is_active(self) -> bool:
        """Whether values are logged: on rank 0, until `finish`."""
        return self._run is not None and not self._finished

    @property
    def waits(self) -> bool:
        """Whether the run exists already and `resume` has not been called."""
        return self._waits

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags that the run had when it was opened; none on ranks other than 0."""
        return {} if self._run is None else self._run.tags

    @property
    def age(self) -> float:
        """Seconds since the run was created, including interruptions; 0 on other ranks than 0."""
        return 0.0 if self._run is None else time.time() - self._run.start_time / 1000

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs values at a step; called by Lightning for `self.log`, and by callbacks.

        `epoch`, `val/*` and `test/*` are ignored once a callback logs them with `log_scores`.
        """
        if self._owns_scores:
            metrics = {key: metrics[key] for key in metrics if not _is_score(key)}
        self.log_scores(metrics, step)

    def own_scores(self) -> None:
        """Leaves `epoch`, `val/*` and `test/*` to `log_scores`, since Lightning's steps differ."""
        self._owns_scores = True

    def log_scores(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Logs values of any name at a step, each (name, step) once per run.

        Later values for the same name and step are ignored: a resumed training repeats some steps.
        """
        if self._run is None:
            return
        if step is None:
            raise ValueError(f"metrics {sorted(metrics)} have no step; pass step=...")
        logged, now = self._run.logged, _now()
        new = {_checked(key): value for key, value in metrics.items() if step not in logged[key]}
        for key in new:
            logged[key].add(step)
        made = {key: records.Metric(key, float(value), now, step) for key, value in new.items()}
        self._results |= {key: made[key] for key in made if key.startswith(("best/", "test/"))}
        self._put(*made.values())

    def log_values(self, metrics: Mapping[str, float]) -> None:
        """Logs single values, which replace earlier ones; MLflow draws them as bars, not curves."""
        new = {_checked(k): float(v) for k, v in metrics.items() if self._values.get(k) != v}
        now = _now()
        self._put(*(records.Metric(key, value, now, 0) for key, value in new.items()))
        self._values |= new

    def log_params(self, params: Mapping[str, str]) -> None:
        """Logs parameters without secrets, cut at MLflow's limit.

        Existing parameters keep their value; different new values are written to the tag
        `parameter_drift`.
        """
        limit = records.MAX_PARAM_LENGTH
        if params:
            texts = {key: str(without_secrets(text, key)) for key, text in params.items()}
            self._put(records.Params({_checked(key): texts[key][:limit] for key in texts}))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags without secrets, cut at MLflow's limit. A new value replaces the old one."""
        limit = records.MAX_TAG_LENGTH
        if tags:
            texts = {key: str(without_secrets(text, key)) for key, text in tags.items()}
            self._put(records.Tags({_checked(key): texts[key][:limit] for key in texts}))

    def describe_experiment(self, note: str, tags: Mapping[str, str]) -> None:
        """Sets the description, and other tags, of an experiment that has no description."""
        if self._run is not None:
            describe_experiment(self._run, note, tags)

    def log_text(self, text: str, artifact_path: str) -> None:
        """Logs a text as an artifact."""
        self._put(records.TextArtifact(text, _checked(artifact_path)))

    def log_table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], artifact_path: str
    ) -> None:
        """Logs a table as the JSON artifact that MLflow's `log_table` writes and its UI shows."""
        table = {"columns": list(columns), "data": [list(row) for row in rows]}
        self.log_text(json.dumps(table, ensure_ascii=False), artifact_path)
        self._tables.add(artifact_path)
        listed = [{"path": path, "type": "table"} for path in sorted(self._tables)]
        self.set_tags({"mlflow.loggedArtifacts": json.dumps(listed)})

    def log_artifact(self, path: Path, artifact_folder: str | None = None) -> None:
        """Logs a copy of a file, which may be changed or deleted afterwards."""
        folder = artifact_folder and _checked(artifact_folder)
        if self._outbox is not None:
            self._outbox.put_file(path, folder)

    def log_model(
        self, checkpoint: Path, description: Mapping[str, str], register: str | None = None
    ) -> None:
        """Logs a copy of a checkpoint as the MLflow model of the run, with `best/*` and `test/*`.

        `description` is that of `pipeline.inference.serving`; with `register`, the model becomes
        the challenger of the registered model of that name.
        """
        if self._outbox is not None:
            self._outbox.put_model(checkpoint, description, [*self._results.values()], register)

    @property
    def has_unsent_artifacts(self) -> bool:
        """Whether there are unsent artifacts."""
        return self._outbox is not None and self._outbox.has_artifacts

    def log_dataset(
        self,
        name: str,
        digest: str,
        source: str,
        context: str,
        profile: Mapping[str, float] | None = None,
    ) -> None:
        """Logs an MLflow dataset as input of the run.

        `source` is a path or URL, `context` is "train", "valid" or "test", and `profile` contains
        counts of its contents. Pages of MLflow show the first 8 digits of `digest` beside the
        name; the profile has all.
        """
        text = json.dumps({"sha256": digest, **(profile or {})})
        digest = digest[: records.DIGEST_LENGTH]
        self._put(records.Dataset(name, digest, redact(source), context, text))

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: object, **kwargs: object
    ) -> None:
        """Does nothing: parameters are the command's flags (`log_params`), not saved modules."""

    def flush(self) -> None:
        """Waits until every logged value is in the store or in a journal on disk.

        Called before a checkpoint is written, so that a killed training that resumes from it has
        all metrics of earlier steps.
        """
        if self._outbox is not None:
            self._outbox.flush()

    def finalize(self, status: str) -> None:
        """Flushes; the run stays open, since a test may follow."""
        if not self._finished:
            self.flush()

    def resume(self) -> None:
        """Sets the status of an existing run to RUNNING."""
        if self._waits:
            self._waits = False
            self._put(records.Status("RUNNING", _now()))

    def release(self) -> None:
        """Ends the use of an existing run that was not resumed, and leaves its status as it is."""
        if self._outbox is not None and not self._finished:
            self._finished = True
            self._outbox.close(None)

    def finish(self, status: FinalStatus) -> None:
        """Ends the run; later calls do nothing.

        Artifacts are sent first, for a limited time, then the status. Values that cannot be sent
        stay in the journal, with a warning.
        """
        if self._outbox is not None and not self._finished:
            self._finished = True
            self._outbox.close(records.Status(status, _now()))

    def _put(self, *new: Record) -> None:
        if self._outbox is not None:
            self._outbox.put(*new)


def _tables_of(tags: Mapping[str, str]) -> set[str]:
    try:
        return {one["path"] for one in json.loads(tags.get("mlflow.loggedArtifacts", "[]"))}
    except (ValueError, LookupError, TypeError):
        return set()


def _is_score(name: str) -> bool:
    return name == "epoch" or name.startswith(("val/", "test/"))


def _checked(name: str) -> str:
    """Returns a valid name; raises for one that the store would refuse at each attempt."""
    if not records.is_name(name):
        raise ValueError(
            f"invalid MLflow name {name!r}: expected a relative path of at most 250 letters, "
            "digits, spaces and the characters _ . - / :"
        )
    return name


def _now() -> int:
    return int(time.time() * 1000)
