"""Trains a model in one MLflow run, however it is started and resumed."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.connectors import checkpoint_connector
from lightning.pytorch.utilities.exceptions import SIGTERMException

from pipeline.callbacks import (
    BestCheckpoint,
    ProcessWatcher,
    RunStart,
    SampleLog,
    Terminated,
    TestReport,
    termination,
)
from pipeline.checkpoints.folder import RunFolder, prepare_outputs
from pipeline.checkpoints.read import read_checkpoint
from pipeline.checkpoints.trust import check_names
from pipeline.console import is_first_process, print_note, print_result
from pipeline.contracts import Generator, SentenceTagger, Task, TextClassifier
from pipeline.cuda_graphs.replay import cuda_graphs
from pipeline.errors import InputError, shortened
from pipeline.float32 import tf32
from pipeline.inference.serving import description
from pipeline.options import resumable
from pipeline.protocols import implements
from pipeline.run.description import write_page
from pipeline.run.devices import ends_determinism, explain_nondeterminism
from pipeline.run.experiment import Experiment, build
from pipeline.run.opening import OpenTraining, begin, fork_training, open_training
from pipeline.run.resume import Progress, refuse_too_little, send_rest, what_is_complete
from pipeline.run.trainer import choose_precision, read_files, refuse_bad_settings, training_trainer
from pipeline.tracking.logger import FinalStatus, RunTracker
from pipeline.tracking.run import run_state
from pipeline.tracking.secrets import removed_keys, without_secrets
from pipeline.tracking.system import system_metrics


def train(
    arguments: Sequence[str],
    resume: str | None,
    and_test: bool,
    kept_in: str = "",
    fork: bool = False,
    register: str | None = None,
) -> int:
    """Trains a model, with `and_test` tests its best checkpoint, and returns the exit code.

    `arguments` are those of the configuration parser; `resume` names the run to resume, if any.
    With `fork`, a new run continues from that run's checkpoint. `kept_in` names the run folder, if
    any, that the configuration comes from. With `register`, the model becomes the challenger of the
    registered model of that name. A finished run of which nothing is left to do, and a run whose
    resume is refused, are not changed.

    Raises:
        TrainingError: If the loss is not finite.
        SystemExit: On Ctrl-C (130) or SIGTERM (143).
    """
    resumed = resumable(resume) if resume is not None else None
    read = {}  # the checkpoint to resume from, which is read once
    if resumed is not None:
        read[resumed.last] = read_checkpoint(resumed.last)
        kept_in = str(resumed.config)
        check_names(_read_config(resumed.config), kept_in)
    experiment = _without_secrets(build(arguments, kept_in), resumed)
    precision = choose_precision(experiment)
    if resumed is None:
        read_files(experiment)
    refuse_bad_settings(experiment, precision)
    if resumed is not None:
        if not fork and _is_complete(resumed, experiment, and_test):
            return 0
        refuse_too_little(read[resumed.last], experiment.config["trainer"])
    prepare_outputs()
    with _locked(None if fork else resumed):
        if fork and resumed is not None:
            with _locked(resumed):
                job = fork_training(experiment, precision, resumed, and_test, arguments)
        else:
            job = open_training(experiment, precision, resumed, and_test, arguments)
        try:
            termination.install()
            with (
                system_metrics(job.tracker),
                tf32(False),
                cuda_graphs(experiment.config["cuda_graphs"]),
                ends_determinism(),
                explain_nondeterminism(),
            ):
                _run(job, register, read)
        except BaseException as error:
            _end(job, error)
            raise
        finally:
            termination.uninstall()
    job.tracker.finish("FINISHED")
    _print_end(job, register)
    return 0


def _print_end(job: OpenTraining, register: str | None) -> None:
    print_result(f"run {job.tracker.version} ({job.name})")
    for what, address in zip(("page", "charts"), job.tracker.addresses, strict=False):
        print_note(f"{what}: {address}")
    print_note(f"next: unroll {_next_verb(job.experiment.model)} --run {job.tracker.version}")
    if register is not None:
        print_note(f"registered: models:/{register}@challenger; next: unroll promote {register}")


def _without_secrets(experiment: Experiment, resumed: RunFolder | None) -> Experiment:
    """Removes secrets from the configuration, which is stored in files.

    Raises `InputError` if the configuration of a resumed run lacks such a value.
    """
    config = without_secrets(experiment.config)
    if resumed is not None and (keys := removed_keys(experiment.config)):
        raise InputError(
            f"{resumed.config} has no value of {', '.join(keys)}, which is a secret and was not "
            "stored; start the training again with --config and this flag"
        )
    return experiment._replace(config=config)


def _read_config(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged; expected the configuration that `unroll train` wrote"
        ) from error


def _is_complete(resumed: RunFolder, experiment: Experiment, and_test: bool) -> bool:
    """Returns whether nothing is left to do for a run, and says so."""
    state, old = run_state(resumed.run_id), _read_config(resumed.config)
    assert isinstance(old, dict), "the parser has read it"
    done = what_is_complete(state, old, experiment.config, and_test)
    if done:
        with _locked(resumed):
            send_rest(resumed)
        print_note(
            f"run {resumed.run_id} ({resumed.name}) is finished: {done}; nothing is left to do. To "
            "train further, give a larger --trainer.max_epochs"
        )
    return bool(done)


def _next_verb(task: Task) -> str:
    if implements(task, Generator):
        return "generate"
    reads_text = implements(task, SentenceTagger) or implements(task, TextClassifier)
    return "predict --input -" if reads_text else "predict"


def _locked(folder: RunFolder | None) -> AbstractContextManager[None]:
    """Locks the folder of a run, if there is one, in the first process."""
    return folder.locked() if folder is not None and is_first_process() else nullcontext()


def _run(job: OpenTraining, register: str | None, read: dict[Path, dict[str, Any]]) -> None:
    tracker, task = job.tracker, job.experiment.model
    processes = ProcessWatcher(on_death=lambda: _abandon(tracker))
    best = BestCheckpoint(job.folder.best, task.monitor, task.monitor_mode)
    trainer = training_trainer(
        job.experiment, job.precision, tracker, job.folder, best, processes, read
    )
    start = RunStart(lambda: begin(job, trainer.world_size))
    trainer.callbacks.insert(0, start)  # type: ignore[attr-defined]
    if not tracker.waits:
        start()
    try:
        processes.watch(trainer)
        with _locked(job.folder if not job.is_resumed else None):
            _fit_and_test(job, trainer, best, start)
        write_page(tracker, job.experiment, "FINISHED", job.tags, _examples(trainer))
    finally:
        processes.end()
        if tracker.is_active and not tracker.waits:
            _log_checkpoints(job, register)


def _log_checkpoints(job: OpenTraining, register: str | None) -> None:
    if job.folder.best.is_file():
        job.tracker.log_model(job.folder.best, description(job.experiment.model), register)
    if job.experiment.config["upload_last"] and job.folder.last.is_file():
        job.tracker.log_artifact(job.folder.last, "checkpoints")


def _examples(trainer: Trainer) -> list[str]:
    """Returns lines of the model's output for the description of the run."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    tested = [one.examples for one in callbacks if isinstance(one, TestReport)]
    sampled = [one.latest() for one in callbacks if isinstance(one, SampleLog)]
    return next((lines for lines in (*tested, *sampled) if lines), [])


def _fit_and_test(
    job: OpenTraining, trainer: Trainer, best: BestCheckpoint, start: RunStart
) -> None:
    model, data = job.experiment.model, job.experiment.data
    trainer.fit(model, datamodule=data, ckpt_path=job.start)
    start()  # a training that had ended is only tested
    # Lightning counts an epoch that `max_steps` has cut off as complete.
    is_cut_off = not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
    done = Progress(trainer.current_epoch - is_cut_off, trainer.global_step)
    job.tracker.set_tags(done.tags())
    keeps_checkpoints = job.experiment.trainer["enable_checkpointing"] is not False
    if keeps_checkpoints and best.best is None:
        print_note(
            f"no validation was run: best.ckpt has the last weights, not the best {best.monitor}"
        )
        trainer.save_checkpoint(best.path)
    if job.and_test:
        path = trainer.strategy.broadcast(str(best.path)) if keeps_checkpoints else None
        trainer.test(model, data, ckpt_path=path, verbose=False)
        for name, score in sorted(trainer.callback_metrics.items()):
            if name.startswith("test/"):
                print_result(f"{name} {float(score):.6g}")


def _end(job: OpenTraining, error: BaseException) -> None:
    """Sets the status of the run after an error, and raises what determines the exit code."""
    tracker = job.tracker
    is_interrupt = isinstance(error, KeyboardInterrupt) or isinstance(
        error.__context__, KeyboardInterrupt
    )  # Lightning converts Ctrl-C to exit(1)
    is_terminated = isinstance(error, Terminated | SIGTERMException)
    status: FinalStatus = "KILLED" if is_interrupt or is_terminated else "FAILED"
    if tracker.waits:
        tracker.release()
        print_note(f"run {tracker.version} is unchanged")
    else:
        write_page(tracker, job.experiment, status, job.tags, [])
        tracker.finish(status)
        print_note(f"run {tracker.version} ended with status {status}")
    if status == "KILLED" and RunFolder.of(str(tracker.version)).last.is_file():
        print_note(f"continue with: unroll train --resume {tracker.version}")
    if is_interrupt:
        sys.exit(130)
    if is_terminated:
        sys.exit(143)
    if isinstance(error, MisconfigurationException):
        raise InputError(" ".join(str(error).split())) from error
    if isinstance(error, Exception) and not isinstance(error, InputError) and _restores(error):
        reason = shortened(f"{type(error).__name__}: {error}")
        raise InputError(
            f"{job.start} cannot be resumed: its states do not fit the configuration of the run "
            f"({reason}); expected a checkpoint of this run, written by `unroll train`"
        ) from error


def _restores(error: Exception) -> bool:
    """Returns whether Lightning raised an error when it restored the states in a checkpoint."""
    codes = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(
        code.co_filename == checkpoint_connector.__file__ and "restore" in code.co_name
        for code in codes
    )


def _abandon(tracker: RunTracker) -> None:
    """Ends this process from a thread, since it waits for a process that has failed."""
    tracker.finish("FAILED")
    print_note(f"run {tracker.version} ended with status FAILED: another process failed")
    os._exit(1)
