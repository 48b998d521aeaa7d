"""One training for each of several seeds: child runs, and a parent run with means."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

from pipeline.checkpoints.folder import RunFolder
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.options import SEEDS_PLAN, parse_seeds
from pipeline.run.experiment import build
from pipeline.run.groups.children import (
    ChildTraining,
    default_jobs,
    fields_of_plan,
    keep_configs,
    placed,
    run_trainings,
)
from pipeline.run.groups.parents import (
    is_finished,
    keep_plan,
    open_parent,
    read_plan,
    reopen_parent,
    run_parent,
)
from pipeline.run.groups.summary import shown_scores, sum_up
from pipeline.run.groups.workers import Outcome
from pipeline.tracking.family import children
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import group_name


class _Plan(NamedTuple):
    """The trainings of several seeds, stored in the folder of the parent run.

    `arguments` are those of all trainings, and `seeds` is a list such as "1,2,3".
    """

    name: str
    config: dict[str, Any]
    arguments: list[str]
    seeds: str


def train_seeds(arguments: Sequence[str], seeds: Sequence[int], jobs: int | None) -> int:
    """Trains and tests a model with each of several seeds, and returns the exit code.

    `arguments` are those of the configuration parser. By default as many trainings run at the same
    time as fit the machine. Raises `TrainingError` if a training failed; the others are run.
    """
    experiment = build([*arguments, f"--seed_everything={seeds[0]}"])
    config = {key: each for key, each in experiment.config.items() if key != "seed_everything"}
    name = f"{config['run_name'] or group_name(config)}-seeds{len(seeds)}"
    tags = {"encoder": type(experiment.model.encoder).__name__, "seeds": _joined(seeds)}
    tracker, folder = open_parent(experiment, name, config, tags, arguments)
    with folder.locked():
        plan = _Plan(folder.name, config, keep_configs(folder.path, arguments), _joined(seeds))
        keep_plan(tracker, folder, SEEDS_PLAN, plan._asdict())
        return _run(tracker, plan, jobs)


def resume_seeds(resume: str, seeds: Sequence[int] | None, jobs: int | None) -> int:
    """Resumes `train_seeds`: finished seeds are kept, and interrupted ones continue.

    `seeds` must contain those of the parent run, and can add others.
    """
    folder, kept = read_plan(resume, SEEDS_PLAN, "training of several seeds", get_type_hints(_Plan))
    plan = _Plan(**kept)
    fields_of_plan(folder, placed(folder.path, plan.arguments))
    old = parse_seeds(f"{plan.seeds},")
    if seeds is not None and (missing := [seed for seed in old if seed not in seeds]):
        raise InputError(
            f"--seeds leaves out seed {missing[0]} of run {folder.run_id} ({plan.name}), which has "
            f"the seeds {plan.seeds}; give these, too, or leave --seeds out"
        )
    plan = plan._replace(seeds=_joined(seeds or old))
    with folder.locked():
        if is_finished(folder, _seeds(plan), "seed"):
            return 0
        tracker = reopen_parent(folder)
        keep_plan(tracker, folder, SEEDS_PLAN, plan._asdict())
        return _run(tracker, plan, jobs, is_resumed=True)


def _joined(seeds: Sequence[int]) -> str:
    return ",".join(str(seed) for seed in seeds)


def _seeds(plan: _Plan) -> list[int]:
    return parse_seeds(f"{plan.seeds},")


def _run(tracker: RunTracker, plan: _Plan, jobs: int | None, is_resumed: bool = False) -> int:
    print_note(
        f"run {tracker.version} ({plan.name}) of experiment {tracker.name}: seeds {plan.seeds}"
    )

    def work(parent: RunFolder) -> tuple[list[Outcome], str]:
        trainings = [_training(parent, plan, seed) for seed in _seeds(plan)]
        failed = run_trainings(
            parent, trainings, jobs or default_jobs(plan.config), "seed", shown_scores, is_resumed
        )
        tracker.set_tags({"seeds": plan.seeds})
        sum_up(tracker, parent, children(parent.run_id), "seed")
        return failed, f"{len(trainings)} seeds"

    return run_parent(tracker, plan.name, "train", work)


def _training(parent: RunFolder, plan: _Plan, seed: int) -> ChildTraining:
    """Returns the training of a seed, whose number is the seed."""
    base = plan.config.get("run_name")
    name = [f"--run_name={base}-s{seed}"] if base else []
    flags = [*placed(parent.path, plan.arguments), f"--seed_everything={seed}", *name]
    return ChildTraining(seed, f"seed {seed}", flags)
