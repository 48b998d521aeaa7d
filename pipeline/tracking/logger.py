"""The Lightning logger that owns the one MLflow run of a training."""

import json
import os
import re
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from pipeline.tracking import records
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.records import Record
from pipeline.tracking.run import OpenRun, open_run

FinalStatus = Literal["FINISHED", "FAILED", "KILLED", "SCHEDULED"]


class RunTracker(Logger):
    """Logs a training to one MLflow run, from rank 0; on other ranks every method does nothing.

    Nothing here waits for the store: what is logged is sent by threads. While the store does not
    answer, training goes on, and what is logged waits in `<outputs>/<run id>/tracking.jsonl`,
    artifacts in `artifacts.jsonl`, which may fail alone and hold up nothing else. Those files are
    sent when the store answers again, or else when the run is resumed.

    The run stays RUNNING until `finish`, however often a Trainer fits or tests with this logger.

    Args:
        experiment: The name of the experiment.
        run_id: The run, None if this rank does not know it.
        outputs: The folder that holds a folder for each run.
        run: The open run; None on ranks other than 0.
    """

    def __init__(
        self, experiment: str, run_id: str | None, outputs: Path, run: OpenRun | None
    ) -> None:
        super().__init__()
        self._experiment = experiment
        self._run_id = run_id
        self._outputs = outputs.absolute()  # the current folder may change
        self._finished = False
        self._run = run
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
        """Creates a run, or goes on with one: `run_id`, else MLFLOW_RUN_ID if that is set.

        Args:
            experiment: The experiment of a new run, created if need be.
            run_name: The name of a run that is new, or that `mlflow run` made.
            run_id: The run to go on with, whose experiment and name stay as they are.
            tags: See `set_tags`.
            params: See `log_params`.
            outputs: The folder that holds a folder for each run.

        Raises:
            InputError: The store cannot be used, the run does not exist, or its journal is damaged.
        """
        if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
            return cls(experiment, run_id or os.environ.get("MLFLOW_RUN_ID"), outputs, None)
        run = open_run(experiment, run_name, run_id)
        tracker = cls(run.experiment, run.run_id, outputs, run)
        tracker.set_tags(tags or {})
        tracker.log_params(params or {})
        return tracker

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return self._experiment

    @property
    def version(self) -> str | None:
        """The run's id; None where it is not known, on ranks other than 0."""
        return self._run_id

    @property
    def save_dir(self) -> str | None:
        """The run's folder below `outputs`; None where the run's id is not known."""
        return None if self._run_id is None else str(self._outputs / self._run_id)

    @property
    def is_active(self) -> bool:
        """Whether anything is logged: on rank 0, until the run is finished."""
        return self._run is not None and not self._finished

    @property
    def age(self) -> float:
        """Seconds since the run was created, pauses included; 0 on ranks other than 0."""
        return 0.0 if self._run is None else time.time() - self._run.start_time / 1000

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs values at a step, each name once per step, in the life of the run.

        What is there already stays: a resumed training computes some steps again, and Lightning
        gives `epoch` with each call.

        Raises:
            ValueError: There is no step, or MLflow allows no such name.
        """
        if self._run is None:
            return
        if step is None:
            raise ValueError(f"metrics are logged at a step, but {sorted(metrics)} came without")
        logged, now = self._run.logged, _now()
        new = {_checked(key): value for key, value in metrics.items() if step not in logged[key]}
        for key in new:
            logged[key].add(step)
        self._put(*(records.Metric(key, float(value), now, step) for key, value in new.items()))

    def log_params(self, params: Mapping[str, str]) -> None:
        """Logs parameters, cut at MLflow's limit.

        One that the run has already keeps its value; if the new value is another one, the tag
        `parameter_drift` tells both.

        Raises:
            ValueError: MLflow allows no such name.
        """
        limit = records.MAX_PARAM_LENGTH
        if params:
            self._put(records.Params({_checked(key): params[key][:limit] for key in params}))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags, cut at MLflow's limit; the last value of a tag counts.

        Raises:
            ValueError: MLflow allows no such name.
        """
        limit = records.MAX_TAG_LENGTH
        if tags:
            self._put(records.Tags({_checked(key): tags[key][:limit] for key in tags}))

    def log_text(self, text: str, artifact_path: str) -> None:
        """Logs a text as the artifact of that path.

        Raises:
            ValueError: MLflow allows no such path.
        """
        self._put(records.TextArtifact(text, _checked(artifact_path)))

    def log_artifact(self, path: Path, artifact_folder: str | None = None) -> None:
        """Logs a file as it is now; it may change or vanish as soon as this returns.

        Args:
            path: The file, whose name the artifact gets.
            artifact_folder: The folder among the run's artifacts, by default their root.

        Raises:
            ValueError: MLflow allows no such folder.
        """
        folder = artifact_folder and _checked(artifact_folder)
        if self._outbox is not None:
            self._outbox.put_file(path, folder)

    def log_dataset(
        self,
        name: str,
        digest: str,
        source: str,
        context: str,
        profile: Mapping[str, float] | None = None,
    ) -> None:
        """Logs what the run reads as a data set of MLflow.

        Args:
            name: The name of the data.
            digest: A hash of the content; MLflow keeps its first 36 characters.
            source: A path or an address.
            context: What it is used for: train, valid or test.
            profile: Numbers that describe it.
        """
        digest = digest[: records.MAX_DIGEST_LENGTH]
        text = json.dumps(dict(profile or {}))
        self._put(records.Dataset(name, digest, source, context, text))

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: object, **kwargs: object
    ) -> None:
        """Nothing: a run's parameters are its flags (`log_params`), not what modules save."""

    def flush(self) -> None:
        """Returns when all that was logged is in the store, or in a journal on disk.

        Called before a checkpoint is written, it makes sure that a training that is killed and
        resumes from that checkpoint has every metric of the steps before.
        """
        if self._outbox is not None:
            self._outbox.flush()

    def finalize(self, status: str) -> None:
        """Flushes; the run goes on, since a test may follow a fit."""
        if not self._finished:
            self.flush()

    def finish(self, status: FinalStatus) -> None:
        """Ends the run, once: later calls do nothing.

        Artifacts are sent first, for a bounded time, then the status. What cannot be sent stays in
        its journal, and is told.
        """
        if self._outbox is not None and not self._finished:
            self._finished = True
            self._outbox.close(records.Status(status, _now()))

    def _put(self, *new: Record) -> None:
        if self._outbox is not None:
            self._outbox.put(*new)


def _checked(name: str) -> str:
    """Returns the name; raises if the store would refuse it, then and at each attempt again."""
    is_path = not any(part in ("", ".", "..") for part in name.split("/"))
    if not is_path or len(name) > 250 or not re.fullmatch(r"[/\w.\- :]*", name):
        raise ValueError(
            f"MLflow allows no name {name!r}: expected at most 250 letters, digits, and any of "
            "_ . - / : and space, in the form of a relative path"
        )
    return name


def _now() -> int:
    return int(time.time() * 1000)
