"""`train` and `fit`: one training is one MLflow run, however it is started and resumed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar

from pipeline.building import Experiment, build
from pipeline.callbacks import (
    EpochLines,
    FiniteGuard,
    PeriodicCheckpoint,
    RandomState,
    RunLog,
    Terminated,
    Termination,
    termination,
)
from pipeline.checkpoint import ModelCard, read_checkpoint
from pipeline.console import say, show
from pipeline.errors import InputError
from pipeline.options import resumable
from pipeline.outputs import RunFolder, outputs_root
from pipeline.precision import resolve_precision
from pipeline.tracking.logger import FinalStatus, RunTracker
from pipeline.tracking.naming import config_hash, flatten, run_name
from pipeline.tracking.provenance import command_line, package_versions, provenance_tags
from pipeline.tracking.system import SystemMetrics


def train(arguments: Sequence[str], resume: str | None, and_test: bool) -> int:
    """Trains a model, and tests its best checkpoint.

    Args:
        arguments: of the configuration parser.
        resume: the run to go on with; a new run if omitted.
        and_test: score the test split with the best checkpoint.

    Returns:
        The exit code, 0.

    Raises:
        InputError: something in the configuration or the data is wrong.
        TrainingError: the loss is not finite.
        SystemExit: Ctrl-C (130) or SIGTERM (143).
    """
    resumed = resumable(resume) if resume is not None else None
    if resumed is not None:
        read_checkpoint(resumed.last)  # a torn file is told before a run is opened
    experiment = build(arguments)
    name = experiment.config["run_name"] or run_name(experiment.config)
    precision = _precision(experiment)
    _refuse_bad_trainer(experiment, precision)
    tracker = _start_run(experiment, name, resumed.run_id if resumed else None)
    say(f"run {tracker.version} ({name}) of experiment {tracker.name}, precision {precision}")
    try:
        termination.install()
        with SystemMetrics(tracker):
            _run(experiment, name, precision, tracker, resumed, and_test)
    except BaseException as error:
        status, code = _outcome(error)
        tracker.finish(status)
        say(f"run {tracker.version} ended as {status}")
        if code is None:
            raise
        sys.exit(code)
    tracker.finish("FINISHED")
    show(f"run {tracker.version} ({name})")
    return 0


def _run(
    experiment: Experiment,
    name: str,
    precision: str,
    tracker: RunTracker,
    resumed: RunFolder | None,
    and_test: bool,
) -> None:
    folder = RunFolder.of(tracker.version or "of-another-rank")
    if tracker.is_active:
        folder.create(name, yaml.safe_dump(experiment.config, sort_keys=False))
        _log_inputs(experiment, precision, tracker, folder)
    best = _best_checkpoint(experiment, folder)
    trainer = _trainer(experiment, precision, tracker, folder, best)
    tracker.set_tags(provenance_tags(trainer.world_size))
    try:
        start = resumed.last if resumed else None
        trainer.fit(experiment.model, datamodule=experiment.data, ckpt_path=start)
        path = best.best_model_path or _save_unvalidated(trainer, best)
        if and_test:
            trainer.test(experiment.model, experiment.data, ckpt_path=path, verbose=False)
            _show_scores(trainer)
    finally:
        if tracker.is_active and folder.best.is_file():
            tracker.log_artifact(folder.best, "checkpoints")


def _save_unvalidated(trainer: Trainer, best: ModelCheckpoint) -> str:
    """Keeps the last weights of a training that ended before its first validation."""
    say(f"no validation was run, so the last weights are kept, not those of best {best.monitor}")
    path = str(Path(str(best.dirpath)) / "best.ckpt")  # the same folder on every rank
    trainer.save_checkpoint(path)
    return path


def _log_inputs(
    experiment: Experiment, precision: str, tracker: RunTracker, folder: RunFolder
) -> None:
    task, corpus, config = experiment.task, experiment.corpus, experiment.config
    tracker.log_params(flatten(config))
    tracker.set_tags(
        {
            "task": task.experiment,
            "encoder": type(task.encoder).__name__,
            "corpus": corpus.name,
            "precision": precision,
            "config_hash": config_hash(config),
        }
    )
    tracker.log_artifact(folder.config)
    tracker.log_text(command_line() + "\n", "command.txt")
    tracker.log_text(package_versions(), "packages.txt")
    tracker.log_text("\n".join(corpus.vocabulary.words) + "\n", "vocabulary.txt")
    for split in corpus.describe():
        profile = {"lines": split.lines, "tokens": split.tokens, "unknown": split.unknown}
        tracker.log_dataset(corpus.name, split.sha256, str(split.path), split.split, profile)


def _precision(experiment: Experiment) -> str:
    requested = experiment.trainer.pop("precision", None) or experiment.config["precision"]
    return resolve_precision(str(requested), accelerator=str(experiment.trainer["accelerator"]))


def _start_run(experiment: Experiment, name: str, run_id: str | None) -> RunTracker:
    wanted = experiment.config["experiment"]
    return RunTracker.start(
        experiment=wanted or f"{experiment.task.experiment}/{experiment.corpus.name}",
        run_name=name,
        run_id=run_id,
        outputs=outputs_root(),
    )


def _best_checkpoint(experiment: Experiment, folder: RunFolder) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder.checkpoints,  # the first rank's, broadcast
        filename="best",
        monitor=experiment.task.monitor,
        mode=experiment.task.monitor_mode,
        enable_version_counter=False,
    )


def _trainer(
    experiment: Experiment,
    precision: str,
    tracker: RunTracker,
    folder: RunFolder,
    best: ModelCheckpoint,
) -> Trainer:
    task = experiment.task
    arguments = dict(experiment.trainer)
    log_every_n_steps = arguments.get("log_every_n_steps") or 50
    callbacks: list[Callback] = [
        FiniteGuard(),
        Termination(),
        RandomState(),
        ModelCard(experiment.config),
        RunLog(task.monitor, task.monitor_mode, log_every_n_steps),
        *(arguments.pop("callbacks") or []),
        best,
        PeriodicCheckpoint(folder.last, experiment.config["checkpoint_every"]),
    ]
    has_terminal = sys.stderr.isatty()
    if arguments.pop("enable_progress_bar") is not False:
        callbacks.append(TQDMProgressBar() if has_terminal else EpochLines(task.monitor))
    arguments.update(
        logger=tracker,
        callbacks=callbacks,
        precision=precision,
        default_root_dir=folder.path,
        enable_progress_bar=has_terminal,
        enable_model_summary=bool(arguments["enable_model_summary"]),
    )
    return _make_trainer(arguments)


def _refuse_bad_trainer(experiment: Experiment, precision: str) -> None:
    """Raises `InputError` for settings of the Trainer that cannot be, before a run is opened."""
    settings = {**experiment.trainer, "logger": False, "precision": precision}
    settings["callbacks"] = [*(settings["callbacks"] or []), ModelCheckpoint()]
    _make_trainer(settings)


def _make_trainer(arguments: dict[str, Any]) -> Trainer:
    try:
        # Trainer adds to the very list it is given.
        return Trainer(**{**arguments, "callbacks": list(arguments["callbacks"] or [])})
    except (MisconfigurationException, ValueError) as error:
        raise InputError(" ".join(str(error).split())) from error


def _outcome(error: BaseException) -> tuple[FinalStatus, int | None]:
    """Returns the run's status, and the exit code where the error itself says nothing more."""
    if isinstance(error, Terminated):
        return ("KILLED", 143) if error.code == 143 else ("FAILED", 1)
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return "KILLED", 130  # Lightning turns Ctrl-C into exit(1)
    return "FAILED", None


def _show_scores(trainer: Trainer) -> None:
    for name, score in sorted(trainer.callback_metrics.items()):
        if name.startswith("test/"):
            show(f"{name} {float(score):.6g}")
