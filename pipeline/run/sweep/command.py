"""Starts and resumes sweeps: trials as child runs of a parent run, which summarizes them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.checkpoints.folder import RunFolder
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.run.evaluate import validation_metrics
from pipeline.run.experiment import Experiment, build
from pipeline.run.groups.children import default_jobs, keep_configs, threads_per_job
from pipeline.run.groups.parents import MOST, keep_plan, open_parent, reopen_parent, run_parent
from pipeline.run.groups.workers import Outcome, wait_for_orphans
from pipeline.run.resume import send_rest
from pipeline.run.sweep.plan import PLAN, STUDY, Plan, read_sweep, refuse_changes
from pipeline.run.sweep.space import Space, grid_of, parse_space, plain
from pipeline.run.sweep.study import Study, SweepSettings
from pipeline.run.sweep.summary import sum_up
from pipeline.run.sweep.trials import Trials
from pipeline.tracking.family import children
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import GROUP_TAG, config_hash
from pipeline.tracking.run import run_state
from pipeline.tracking.secrets import redact_address


class SweepRequest(NamedTuple):
    """A new sweep: the options of `unroll sweep`; None stands for the default.

    `arguments` are configuration files and flags for all trials.
    """

    arguments: Sequence[str]
    space: Space
    sampler: str
    pruner: str
    metric: str | None
    direction: str | None
    trials: int | None
    storage: str | None


def sweep(request: SweepRequest, jobs: int | None) -> int:
    """Trains a model with values of a search space, and returns the exit code.

    At most `jobs` trials run at the same time. Raises `TrainingError` if all trials failed.
    """
    experiment = build(request.arguments)
    settings = _settings(request, experiment)
    trials = _num_trials(settings.sampler, request.space, request.trials)
    config = experiment.config
    name = config["run_name"] or f"sweep-{experiment.data.name}-{config_hash(config)[:6]}"
    # The scores of a sweep are those of its best trial, which are no mean over seeds.
    tags = {"sweep": settings.sampler, "metric": settings.metric, GROUP_TAG: name}
    tracker, folder = open_parent(experiment, name, config, tags, request.arguments)
    with folder.locked():
        plan = Plan(
            folder.name,
            config,
            keep_configs(folder.path, request.arguments),
            plain(request.space),
            settings._asdict(),
            trials,
            redact_address(request.storage or ""),
        )
        keep_plan(tracker, folder, PLAN, plan._asdict())
        return _run(tracker, plan, request.storage, jobs)


def resume_sweep(
    resume: str, space: Space | None, trials: int | None, storage: str | None, jobs: int | None
) -> int:
    """Resumes `sweep`: interrupted trials continue, and missing ones are added up to `trials`.

    `space` must be that of the sweep, if given; `storage` is needed unless it is the default file.
    """
    folder, plan = read_sweep(resume)
    refuse_changes(plan, space, storage)
    space = parse_space(folder.path / PLAN, plan.space)
    trials = _num_trials(plan.settings["sampler"], space, trials or plan.trials)
    with folder.locked():
        if _is_finished(folder, plan, trials):
            return 0
        has_trials = bool(children(folder.run_id))
        if has_trials and not plan.storage and not (folder.path / STUDY).is_file():
            raise InputError(
                f"{folder.path / STUDY} is missing, which has the trials of the sweep; restore the "
                "file, or start the sweep again"
            )
        tracker = reopen_parent(folder)
        if trials != plan.trials:
            plan = plan._replace(trials=trials)
            keep_plan(tracker, folder, PLAN, plan._asdict())
        return _run(tracker, plan, storage, jobs, is_resumed=True, has_trials=has_trials)


def _settings(request: SweepRequest, experiment: Experiment) -> SweepSettings:
    task = experiment.model
    metric = request.metric or task.monitor
    direction = request.direction or task.monitor_mode
    if metric != task.monitor:
        known = validation_metrics(experiment)
        if metric not in known:
            raise InputError(
                f"--metric {metric}: no such score; {type(task).__name__} computes "
                f"{', '.join(known)} (scores on test data cannot be optimized)"
            )
        if request.direction is None:
            raise InputError(f"--metric {metric} needs --direction min or --direction max")
    seed = experiment.config["seed_everything"]
    return SweepSettings(metric, direction, request.sampler, request.pruner, int(seed))


def _num_trials(sampler: str, space: Space, wanted: int | None) -> int:
    """Returns the number of trials: the wanted one, in a grid at most all combinations."""
    if sampler != "grid":
        assert wanted is not None
        return wanted
    size = math.prod(len(values) for values in grid_of(space).values())
    trials = min(size, wanted or size)
    if trials > MOST:
        raise InputError(
            f"the grid has {size:,} combinations; give fewer values, or --trials up to {MOST:,}"
        )
    return trials


def _is_finished(folder: RunFolder, plan: Plan, wanted: int) -> bool:
    """Returns whether nothing is left to do, and says so."""
    is_done = run_state(folder.run_id).status == "FINISHED" and wanted <= plan.trials
    if is_done:
        send_rest(folder)
        print_note(
            f"sweep {folder.run_id} ({plan.name}) is finished: {plan.trials} trials; nothing is "
            "left to do. To add trials, give a larger --trials; a grid has at most one trial for "
            "each combination"
        )
    return is_done


def _run(
    tracker: RunTracker,
    plan: Plan,
    storage: str | None,
    jobs: int | None,
    is_resumed: bool = False,
    has_trials: bool = False,
) -> int:
    settings = SweepSettings.of(plan.settings)
    print_note(
        f"run {tracker.version} ({plan.name}) of experiment {tracker.name}: {plan.trials} trials "
        f"of {settings.metric} ({settings.direction}), sampler {settings.sampler}"
    )

    def work(parent: RunFolder) -> tuple[list[Outcome], str]:
        wait_for_orphans(parent.path / "trials")
        url = storage or f"sqlite:///{parent.path / STUDY}"
        space = parse_space(parent.path, plan.space)
        study = Study(url, parent.run_id, space, settings, is_new=not has_trials)
        at_once = jobs or default_jobs(plan.config)
        failed = Trials(parent, plan, study, is_resumed).run(at_once)
        is_any = sum_up(tracker, parent, plan, study, threads_per_job(at_once))
        return [] if is_any else failed, f"{plan.trials} trials"

    return run_parent(tracker, plan.name, "sweep", work)
