"""Builds the Lightning Trainer of a run, with its callbacks."""

import copy
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar

from pipeline.callbacks import (
    Bar,
    BestCheckpoint,
    EpochLines,
    FiniteGuard,
    PeriodicCheckpoint,
    ProcessWatcher,
    RandomState,
    RunLog,
    SampleLog,
    ScoreFile,
    Termination,
    TestReport,
    TF32Training,
    TokenReport,
)
from pipeline.callbacks.score_file import SCORES
from pipeline.checkpoints.folder import RunFolder
from pipeline.checkpoints.write import AtomicCheckpointIO, ModelCard
from pipeline.contracts import ChecksModel, ChecksProcesses, ReadsFiles
from pipeline.errors import InputError
from pipeline.run.experiment import Experiment
from pipeline.run.precision import lightning_precision, resolve_precision
from pipeline.tracking.logger import RunTracker

_PRECISIONS = {
    "32": "32-true",
    "32-true": "32-true",
    "16-mixed": "16-mixed",
    "bf16-mixed": "bf16-mixed",
}


def choose_precision(experiment: Experiment) -> str:
    """Returns the precision of training; raises `InputError` if weights would not be float32."""
    trainer = experiment.trainer
    if trainer["precision"] is None:
        requested = str(experiment.config["precision"])
    elif str(trainer["precision"]) in _PRECISIONS:
        requested = _PRECISIONS[str(trainer["precision"])]
    else:
        raise InputError(
            f"--trainer.precision {trainer['precision']}: weights and scores must be float32; use "
            "--precision with auto, 32-true, tf32, bf16-mixed or 16-mixed"
        )
    return resolve_precision(requested, accelerator=str(trainer["accelerator"]))


def read_files(experiment: Experiment) -> None:
    """Reads the files and runs that the task and the callbacks start from."""
    for part in (experiment.model, *_callbacks(experiment)):
        if isinstance(part, ReadsFiles):
            part.read_files()


def _callbacks(experiment: Experiment) -> list[Callback]:
    own = experiment.model.configure_callbacks()
    return [*_as_list(experiment.trainer["callbacks"]), *_as_list(own)]


def refuse_bad_settings(experiment: Experiment, precision: str) -> None:
    """Raises `InputError` for invalid settings of the Trainer, before a run is opened."""
    settings = copy.deepcopy({k: v for k, v in experiment.trainer.items() if k != "logger"})
    arguments = {**settings, "logger": False, "precision": lightning_precision(precision)}
    trainer = make_trainer(arguments)
    if isinstance(experiment.data, ChecksProcesses):
        experiment.data.check_processes(trainer.world_size)
    for callback in _callbacks(experiment):
        if isinstance(callback, ChecksModel):
            callback.check_model(experiment.model)


def training_trainer(
    experiment: Experiment,
    precision: str,
    tracker: RunTracker,
    folder: RunFolder,
    best: BestCheckpoint,
    processes: ProcessWatcher,
    read: dict[Path, dict[str, Any]],
) -> Trainer:
    """Builds the Trainer of a run, with the user's and our callbacks.

    `read` is that of `AtomicCheckpointIO`.
    """
    arguments = dict(experiment.trainer)
    theirs = _as_list(arguments["callbacks"])
    ours = _our_callbacks(experiment, folder, best, processes)
    if experiment.trainer["enable_checkpointing"] is not False:
        upload = _uploader(tracker) if experiment.config["upload_last"] else None
        every = experiment.config["checkpoint_every"]
        ours += [best, PeriodicCheckpoint(folder.last, every, upload)]
    if precision == "tf32":
        ours.append(TF32Training())
    has_terminal = sys.stderr.isatty()
    wants_progress = arguments["enable_progress_bar"] is not False
    if wants_progress:
        ours += _progress(experiment.model.monitor, theirs, has_terminal)
    if not has_terminal:
        theirs = [callback for callback in theirs if not isinstance(callback, ProgressBar)]
    plugins = _as_list(arguments["plugins"])
    if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins.append(AtomicCheckpointIO(read))
    arguments.update(
        logger=tracker,
        # BestCheckpoint precedes RunLog, which logs its score.
        callbacks=[*theirs, *sorted(ours, key=lambda callback: callback is not best)],
        plugins=plugins,
        precision=lightning_precision(precision),
        default_root_dir=folder.path,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in theirs),
        enable_progress_bar=wants_progress and has_terminal,
        enable_model_summary=bool(arguments["enable_model_summary"]),
    )
    return make_trainer(arguments)


def _our_callbacks(
    experiment: Experiment, folder: RunFolder, best: BestCheckpoint, processes: ProcessWatcher
) -> list[Callback]:
    settings = experiment.trainer
    log_every = settings["log_every_n_steps"] or 50
    file = os.environ.get(SCORES)
    return [
        *([ScoreFile(Path(file))] if file else []),
        FiniteGuard(log_every),
        Termination(processes),
        RandomState(),
        ModelCard(experiment.config),
        RunLog(experiment.model.monitor, best, log_every),
        TestReport(folder.report),
        SampleLog(),
        TokenReport(folder.report),
    ]


def _uploader(tracker: RunTracker) -> Callable[[Path], None]:
    """Returns a function that stores a checkpoint in MLflow, unless an earlier one still waits."""

    def upload(path: Path) -> None:
        if tracker.is_active and not tracker.has_unsent_artifacts:
            tracker.log_artifact(path, "checkpoints")

    return upload


def _progress(monitor: str, theirs: list[Callback], has_terminal: bool) -> list[Callback]:
    """Returns a line per validation, and in a terminal a bar unless the user has one."""
    has_bar = any(isinstance(callback, ProgressBar) for callback in theirs)
    bars: list[Callback] = [Bar(monitor)] if has_terminal and not has_bar else []
    return [EpochLines(monitor), *bars]


def make_trainer(arguments: dict[str, Any]) -> Trainer:
    """Builds a Trainer; raises `InputError` for contradictory or unsupported settings."""
    try:
        # Trainer appends to the list it is given.
        return Trainer(**{**arguments, "callbacks": _as_list(arguments["callbacks"])})
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"trainer: {' '.join(str(error).split())}") from error


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 (one, several or none)
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
