"""Table, figures, best configuration and scores of a sweep on its parent run."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.checkpoints.folder import RunFolder, write_atomically
from pipeline.checkpoints.locate import locate
from pipeline.console import print_note, print_result
from pipeline.reports.sweep import (
    TrialRow,
    draw_importances,
    draw_parallel_coordinates,
    write_trials,
)
from pipeline.run.description import commands_of, write_note
from pipeline.run.evaluate import test_scores
from pipeline.run.groups.page import ParentPage, flag_fact
from pipeline.run.groups.summary import main_scores
from pipeline.run.sweep.plan import Plan
from pipeline.run.sweep.space import Range, parse_space
from pipeline.run.sweep.study import Finished, Study
from pipeline.tracking.family import Child, children
from pipeline.tracking.logger import RunTracker

_BEST = "best.yaml"


def sum_up(tracker: RunTracker, parent: RunFolder, plan: Plan, study: Study, threads: int) -> bool:
    """Logs the results of a sweep, and tests its best model; returns whether a trial has a score.

    `threads` is the number of threads that each trial had.
    """
    found = {child.number: child for child in children(parent.run_id)}
    trials = [_row(trial, found) for trial in study.finished()]
    metric, is_low = plan.settings["metric"], plan.settings["direction"] == "min"
    scores = _candidates(trials)
    _log_file(tracker, parent.path / "trials.tsv", write_trials(trials, metric))
    if not scores:
        return False
    number = (min if is_low else max)(scores, key=lambda one: scores[one])
    best = found[number]
    tested = test_scores(locate(best.run_id, None))
    tracker.log_values(
        {f"best/{metric.replace('/', '_')}": scores[number], **tested, **_counts(trials)}
    )
    tracker.set_tags({"best_trial": str(number), "best_run": best.run_id})
    _draw(tracker, parent, plan, trials, study)
    config = yaml.safe_load(RunFolder.of(best.run_id).config.read_text(encoding="utf-8"))
    file = parent.path / _BEST
    write_note(tracker, _page(tracker, plan, trials, number, tested))
    _log_file(tracker, file, yaml.safe_dump({**config, "run_name": None}, sort_keys=False))
    print_result(f"best {metric} {scores[number]:.10g} (trial {number}, run {best.run_id})")
    for name, score in sorted(tested.items()):
        print_result(f"{name} {score:.6g}")
    threads = int(os.environ.get("OMP_NUM_THREADS") or threads)
    print_note(f"next: OMP_NUM_THREADS={threads} unroll train --config {file}")
    return True


def _page(
    tracker: RunTracker,
    plan: Plan,
    trials: Sequence[TrialRow],
    number: int,
    tested: Mapping[str, float],
) -> str:
    """Returns the description of the sweep; `number` is the best trial."""
    settings = plan.settings
    metric, is_low = settings["metric"], settings["direction"] == "min"
    best = next(trial for trial in trials if trial.number == number)
    counts = _counts(trials)
    shown = [f"{name} {tested[name]:.5g}" for name in main_scores(tested)[:1]]
    states = ", ".join(f"{count:.0f} {name.partition('/')[2]}" for name, count in counts.items())
    scored = [(trial.score, trial) for trial in trials if trial.score is not None]
    scored.sort(key=lambda pair: pair[0] if is_low else -pair[0])
    flags = list(plan.space)
    page = ParentPage(
        result=f"**best {metric} {best.score:.5g}**, {', '.join(shown)} (trial {number}, run "
        f"{best.run[:8]}).",
        facts=[
            f"{len(trials)} trials ({states}); sampler {settings['sampler']}, pruner "
            f"{settings['pruner']}",
            *(flag_fact(flag, _searched(values)) for flag, values in plan.space.items()),
        ],
        commands=commands_of(tracker),
        use=[
            f"unroll train --config {_BEST}    # an artifact of this run; the same score again",
            f"unroll test --run {best.run}",
        ],
        head=["trial", "run", metric, *(flag.rpartition(".")[2] for flag in flags)],
        rows=[
            [str(t.number), t.run[:8], f"{score:.5g}", *(_value(t.params.get(f)) for f in flags)]
            for score, t in scored
        ],
    )
    return page.markdown()


def _searched(values: object) -> str:
    if not isinstance(values, Mapping):
        return json.dumps(values)
    step = f" in steps of {values['step']}" if "step" in values else ""
    scale = " (logarithmic)" if values.get("log") else ""
    return f"{values['low']} to {values['high']}{step}{scale}"


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _candidates(trials: Sequence[TrialRow]) -> dict[int, float]:
    """Returns the scores of the trials that can be the best: a run may have been deleted."""
    return {t.number: t.score for t in trials if t.score is not None and t.run}


def _row(trial: Finished, found: Mapping[int, Child]) -> TrialRow:
    run = found[trial.number].run_id if trial.number in found else ""
    return TrialRow(trial.number, run, trial.state, trial.value, trial.params)


def _counts(trials: Sequence[TrialRow]) -> dict[str, float]:
    states = ("COMPLETE", "PRUNED", "FAIL")
    return {f"trials/{one.lower()}": sum(t.state == one for t in trials) for one in states}


def _draw(
    tracker: RunTracker, parent: RunFolder, plan: Plan, trials: Sequence[TrialRow], study: Study
) -> None:
    metric = plan.settings["metric"]
    space = parse_space(parent.path, plan.space)
    logs = [flag for flag, values in space.items() if isinstance(values, Range) and values.log]
    is_low = plan.settings["direction"] == "min"
    parallel = parent.path / "parallel_coordinates.png"
    draw_parallel_coordinates(trials, metric, is_low, logs, parallel)
    tracker.log_artifact(parallel)
    if sum(trial.score is not None for trial in trials) < 2:
        return  # importances compare trials
    importance = parent.path / "importance.png"
    draw_importances(study.importances(), metric, importance)
    tracker.log_artifact(importance)


def _log_file(tracker: RunTracker, path: Path, text: str) -> None:
    write_atomically(path, text)
    tracker.log_artifact(path)
