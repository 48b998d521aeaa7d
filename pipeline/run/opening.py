"""Opens the run of a training, and logs what it starts from."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from pipeline.checkpoints.folder import RunFolder, outputs_root
from pipeline.console import print_note
from pipeline.run.experiment import Experiment
from pipeline.tracking.family import family_tags, parent_tags
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import GROUP_TAG, config_hash, flatten, run_name
from pipeline.tracking.provenance import command_line, package_versions, provenance_tags
from pipeline.tracking.run import run_state


class OpenTraining(NamedTuple):
    """A training with its open run."""

    experiment: Experiment
    name: str
    precision: str
    tracker: RunTracker
    folder: RunFolder
    is_resumed: bool
    start: Path | None  # checkpoint that training starts from
    and_test: bool


def open_training(
    experiment: Experiment, precision: str, resumed: RunFolder | None, and_test: bool
) -> OpenTraining:
    """Opens a new run, or the run to resume, which keeps its status until `begin`."""
    name = resumed.name if resumed else experiment.config["run_name"]
    name = name or run_name(experiment.config)
    run_id = resumed.run_id if resumed else None
    tracker = _start_run(experiment.group, name, run_id, family_tags())
    start = resumed.last if resumed else None
    return _opened(experiment, name, precision, tracker, run_id is not None, start, and_test)


def fork_training(
    experiment: Experiment, precision: str, resumed: RunFolder, and_test: bool
) -> OpenTraining:
    """Opens a new run that continues from copies of the checkpoints of another run."""
    given = experiment.config["run_name"]
    is_new = given != yaml.safe_load(resumed.config.read_text(encoding="utf-8")).get("run_name")
    name = given if given and is_new else f"{resumed.name or run_name(experiment.config)}-fork"
    experiment.config["run_name"] = name
    group = run_state(resumed.run_id).experiment
    tracker = _start_run(group, name, None, parent_tags(resumed.run_id))
    folder = RunFolder.of(tracker.version or "of-another-rank")
    if tracker.is_active:
        folder.checkpoints.mkdir(parents=True)
        for file in (resumed.last, resumed.best):
            if file.is_file():
                shutil.copyfile(file, folder.checkpoints / file.name)
    return _opened(experiment, name, precision, tracker, False, resumed.last, and_test)


def _opened(
    experiment: Experiment,
    name: str,
    precision: str,
    tracker: RunTracker,
    is_resumed: bool,
    start: Path | None,
    and_test: bool,
) -> OpenTraining:
    print_note(
        f"run {tracker.version} ({name}) of experiment {tracker.name}, precision {precision}"
    )
    print_note(f"corpus {experiment.data.name}: {experiment.data.summary}")
    folder = RunFolder.of(tracker.version or "of-another-rank")
    return OpenTraining(experiment, name, precision, tracker, folder, is_resumed, start, and_test)


def begin(job: OpenTraining, world_size: int) -> None:
    """Changes the run: a resumed one when training begins, so that a refusal changes nothing."""
    job.tracker.resume()
    if job.tracker.is_active:
        job.folder.create(job.name, yaml.safe_dump(job.experiment.config, sort_keys=False))
        _log_inputs(job)
    job.tracker.set_tags(provenance_tags(world_size))


def _start_run(
    experiment: str, name: str, run_id: str | None, tags: Mapping[str, str]
) -> RunTracker:
    return RunTracker.start(
        experiment=experiment, run_name=name, run_id=run_id, tags=tags, outputs=outputs_root()
    )


def _log_inputs(job: OpenTraining) -> None:
    tracker, config = job.tracker, job.experiment.config
    task, corpus = job.experiment.model, job.experiment.data
    tracker.log_params(flatten(config))
    tracker.set_tags(
        {
            "task": task.experiment,
            "encoder": type(task.encoder).__name__,
            "corpus": corpus.name,
            "precision": job.precision,
            GROUP_TAG: config_hash(config),
        }
    )
    tracker.log_artifact(job.folder.config)
    tracker.log_text(command_line() + "\n", "command.txt")
    tracker.log_text(package_versions(), "packages.txt")
    for file, text in corpus.texts().items():
        tracker.log_text(text, file)
    for split in corpus.describe():
        tracker.log_dataset(
            corpus.name, split.sha256, str(split.path), split.split, dict(split.profile)
        )
