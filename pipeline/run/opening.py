"""Opens the run of a training, and logs what it starts from."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from pipeline.checkpoints.folder import RunFolder, outputs_root
from pipeline.console import print_note
from pipeline.run.description import (
    configuration_names,
    describe_experiment,
    first_tags,
    resumed_tags,
    write_page,
)
from pipeline.run.experiment import Experiment
from pipeline.run.page import COMMAND_TAG
from pipeline.run.parameters import relevant_parameters
from pipeline.tracking.family import family_tags, parent_tags
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import GROUP_TAG, group_name, run_name
from pipeline.tracking.provenance import package_versions, provenance_tags
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
    arguments: Sequence[str]  # of the configuration parser
    tags: dict[str, str]  # that the description is made of


def open_training(
    experiment: Experiment,
    precision: str,
    resumed: RunFolder | None,
    and_test: bool,
    arguments: Sequence[str],
) -> OpenTraining:
    """Opens a new run, or the run to resume, which keeps its status until `begin`."""
    name = resumed.name if resumed else experiment.config["run_name"]
    name = name or run_name(experiment.config)
    run_id = resumed.run_id if resumed else None
    tracker = _start_run(experiment.group, name, run_id, family_tags())
    name = tracker.run_name or name
    start = resumed.last if resumed else None
    return _opened(
        experiment, name, precision, tracker, run_id is not None, start, and_test, arguments
    )


def fork_training(
    experiment: Experiment,
    precision: str,
    resumed: RunFolder,
    and_test: bool,
    arguments: Sequence[str],
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
    return _opened(experiment, name, precision, tracker, False, resumed.last, and_test, arguments)


def _opened(
    experiment: Experiment,
    name: str,
    precision: str,
    tracker: RunTracker,
    is_resumed: bool,
    start: Path | None,
    and_test: bool,
    arguments: Sequence[str],
) -> OpenTraining:
    print_note(
        f"run {tracker.version} ({name}) of experiment {tracker.name}, precision {precision}"
    )
    print_note(f"corpus {experiment.data.name}: {experiment.data.summary}")
    folder = RunFolder.of(tracker.version or "of-another-rank")
    tags = dict(tracker.tags) if is_resumed else {}
    if not is_resumed:
        describe_experiment(tracker, experiment)
    return OpenTraining(
        experiment, name, precision, tracker, folder, is_resumed, start, and_test, arguments, tags
    )


def begin(job: OpenTraining, world_size: int) -> None:
    """Changes the run: a resumed one when training begins, so that a refusal changes nothing."""
    job.tracker.resume()
    if job.tracker.is_active:
        job.folder.create(job.name, yaml.safe_dump(job.experiment.config, sort_keys=False))
        _log_inputs(job)
        write_page(job.tracker, job.experiment, "RUNNING", job.tags, [])
    job.tracker.set_tags(provenance_tags(world_size))


def _start_run(
    experiment: str, name: str, run_id: str | None, tags: Mapping[str, str]
) -> RunTracker:
    return RunTracker.start(
        experiment=experiment,
        run_name=name,
        run_id=run_id,
        tags=tags,
        outputs=outputs_root(),
    )


def _log_inputs(job: OpenTraining) -> None:
    tracker, config = job.tracker, job.experiment.config
    task, corpus = job.experiment.model, job.experiment.data
    tracker.log_params(relevant_parameters(config, [] if job.is_resumed else job.arguments))
    job.tags.update(resumed_tags(job.tags) if job.is_resumed else first_tags(job.arguments))
    tracker.set_tags(job.tags if not job.is_resumed else resumed_tags(tracker.tags))
    if not job.is_resumed:
        tracker.log_params(configuration_names(job.arguments))
        tracker.log_text(job.tags[COMMAND_TAG] + "\n", "command.txt")
        tracker.log_text(package_versions(), "packages.txt")
    tracker.set_tags(
        {
            "task": task.experiment,
            "encoder": type(task.encoder).__name__,
            "corpus": corpus.name,
            "precision": job.precision,
            GROUP_TAG: group_name(config),
        }
    )
    tracker.log_artifact(job.folder.config)
    for file, text in corpus.texts().items():
        tracker.log_text(text, file)
    for split in corpus.describe():
        tracker.log_dataset(
            f"{corpus.name} {split.split}",
            split.sha256,
            str(split.path),
            split.split,
            dict(split.profile),
        )
