"""Probes number agreement of a trained model, or of all variants of a configuration."""

import itertools
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import yaml

from pipeline.analysis.probes.agreement import Verb, judge, refuse_unknown
from pipeline.analysis.probes.tables import ModelScores, draw_lines, means_over_seeds, write_table
from pipeline.analysis.probes.variants import Variant, is_setting, joined
from pipeline.checkpoints.folder import RunFolder, write_atomically
from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import load_trained
from pipeline.console import Justify, format_table, print_note, print_result
from pipeline.contracts import Generator
from pipeline.errors import InputError
from pipeline.protocols import implements
from pipeline.run.description import commands_of, write_note
from pipeline.run.experiment import build
from pipeline.run.groups.children import (
    ChildTraining,
    default_jobs,
    fields_of_plan,
    placed,
    run_trainings,
)
from pipeline.run.groups.page import ParentPage
from pipeline.run.groups.parents import (
    is_finished,
    keep_plan,
    open_parent,
    read_plan,
    reopen_parent,
    run_parent,
)
from pipeline.run.groups.workers import Outcome
from pipeline.tracking.family import Child, children
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.naming import config_hash

_PLAN, _VARIANTS = "probe.json", "variants"
_TABLE, _PICTURE = "agreement.tsv", "agreement.png"

Verbs = Callable[[int], Sequence[Verb]]
"""Function that returns a given number of verbs for each range of distances."""


class _Plan(NamedTuple):
    """A comparison of variants, stored in the parent run's folder for resuming.

    Each variant has labels and arguments of its training, in which paths of its configuration files
    are relative to the run's folder; the configuration is that of the first.
    """

    name: str
    labels: list[dict[str, str]]
    arguments: list[list[str]]
    config: dict[str, Any]
    per_range: int


def probe_model(
    run: str | None, checkpoint: Path | None, verbs: Verbs, per_range: int, output: Path | None
) -> int:
    """Prints how often a language model prefers the verb that agrees with its subject.

    With `output`, a table and a figure are written to this folder. Raises `InputError` if the
    vocabulary lacks words of the grammar.
    """
    path = locate(run, checkpoint)
    trained = load_trained(path, Generator, "a language model")
    name = run or path.stem
    line = ModelScores.of({"model": name}, name, judge(trained, verbs(per_range)))
    print_result(_shown([line]))
    if output is None:
        print_note("use --output FOLDER to draw a figure")
    else:
        print_note(f"figure: {_write(output, [line])[-1]}")
    return 0


def probe_variants(
    file: Path,
    base: Mapping[str, Any],
    variants: Sequence[Variant],
    fields: Sequence[str],
    verbs: Verbs,
    per_range: int,
    jobs: int | None,
) -> int:
    """Trains and probes each variant in a child run, and compares them in a parent run.

    `base` is the configuration of a file, which the variants override; `fields` are flags for all
    variants. By default as many trainings run at the same time as fit the machine. Raises
    `TrainingError` if a variant failed; the others are trained and probed.
    """
    tracker, folder, config = _begin(file, base, variants, fields, verbs(per_range))
    with folder.locked():
        name = folder.name
        flags = [_arguments(folder, name, base, variant, fields) for variant in variants]
        plan = _Plan(name, [one.labels for one in variants], flags, config, per_range)
        keep_plan(tracker, folder, _PLAN, plan._asdict())
        return _run(tracker, plan, verbs, jobs)


def resume_variants(resume: str, verbs: Verbs, jobs: int | None) -> int:
    """Resumes `probe_variants`; finished variants are kept.

    A finished parent run of which nothing is left to do is not changed.
    """
    folder, kept = read_plan(resume, _PLAN, "comparison", get_type_hints(_Plan))
    plan = _checked(_Plan(**kept))
    fields_of_plan(folder, placed(folder.path, [*itertools.chain(*plan.arguments)]))
    with folder.locked():
        if is_finished(folder, range(len(plan.arguments)), "variant"):
            return 0
        return _run(reopen_parent(folder), plan, verbs, jobs, is_resumed=True)


def _checked(plan: _Plan) -> _Plan:
    """Returns a stored plan; raises `InputError` if it cannot be that of a comparison."""
    names = [name for labels in plan.labels for name in labels.values()]
    if len(plan.labels) != len(plan.arguments) or not all(map(is_setting, names)):
        raise InputError(
            f"{_PLAN} of run {plan.name} is damaged: expected as many labels as arguments, and "
            "names of letters, digits, spaces, '.', '_' and '-'"
        )
    return plan


def _begin(
    file: Path,
    base: Mapping[str, Any],
    variants: Sequence[Variant],
    fields: Sequence[str],
    verbs: Sequence[Verb],
) -> tuple[RunTracker, RunFolder, dict[str, Any]]:
    """Checks the first variant, and opens the parent run; its configuration is the last result."""
    inline = [json.dumps(part) for part in (base, *variants[0].overlays)]
    experiment = build([*(f"--config={text}" for text in inline), *fields])
    if not implements(experiment.model, Generator):
        raise InputError(
            f"{type(experiment.model).__name__} is not a language model, as expected for measuring "
            "agreement; use a configuration of LanguageModel with the corpus builtin"
        )
    data: Any = experiment.data
    refuse_unknown(data.vocabulary, data.unit, verbs)
    config = experiment.config
    named = f"agreement-{experiment.data.name}-{config_hash(config)[:6]}"
    name = f"{config['run_name'] or named}-variants{len(variants)}"
    tags = {"variants": str(len(variants))}
    tracker, folder = open_parent(experiment, name, config, tags, [f"--config={file}"])
    return tracker, folder, config


def _arguments(
    folder: RunFolder, name: str, base: Mapping[str, Any], variant: Variant, fields: Sequence[str]
) -> list[str]:
    """Writes the configuration files of a variant, and returns its flags."""
    own = folder.path / _VARIANTS
    own.mkdir(exist_ok=True)
    files = []
    for number, part in enumerate([base, *variant.overlays]):
        files.append(own / f"{variant.name}-{number}.yaml")
        write_atomically(files[-1], yaml.safe_dump(part, sort_keys=False))
    own_files = (f"--config={_VARIANTS}/{file.name}" for file in files)
    return [*own_files, *fields, f"--run_name={name}-{variant.name}"]


def _run(
    tracker: RunTracker, plan: _Plan, verbs: Verbs, jobs: int | None, is_resumed: bool = False
) -> int:
    print_note(f"run {tracker.version} ({plan.name}) of experiment {tracker.name}")

    def work(parent: RunFolder) -> tuple[list[Outcome], str]:
        pairs = zip(plan.labels, plan.arguments, strict=True)
        trainings = [
            ChildTraining(number, ", ".join(labels.values()), placed(parent.path, arguments))
            for number, (labels, arguments) in enumerate(pairs)
        ]
        failed = run_trainings(
            parent,
            trainings,
            jobs or default_jobs(plan.config),
            "variant",
            _perplexity,
            is_resumed,
        )
        done = [child for child in children(parent.run_id) if child.status == "FINISHED"]
        done = [child for child in done if child.number < len(trainings)]
        _compare(tracker, parent, plan, verbs, done)
        return failed, f"{len(trainings)} variants"

    return run_parent(tracker, plan.name, "probe", work)


def _compare(
    tracker: RunTracker, parent: RunFolder, plan: _Plan, verbs: Verbs, done: Sequence[Child]
) -> None:
    """Probes the trained variants, and prints and logs the results."""
    if not done:
        return
    chosen = verbs(plan.per_range)
    lines = []
    for child in done:
        trained = load_trained(locate(child.run_id, None), Generator, "a language model")
        lines.append(
            ModelScores.of(plan.labels[child.number], child.run_id[:8], judge(trained, chosen))
        )
    means = means_over_seeds(lines)
    scores = {
        f"{joined(line.labels)}/{name}": score
        for line in [*lines, *means]
        for name, score in line.scores.items()
    }
    of_one = lines[0].ranges[0].total
    scores |= {f"{joined(mean.labels)}/seeds": mean.ranges[0].total / of_one for mean in means}
    tracker.log_metrics(scores, step=len(done))
    files = _write(parent.path, lines)
    for file in files:
        tracker.log_artifact(file)
    write_note(tracker, _page(lines, commands_of(tracker)))
    print_result(_shown(lines))
    print_note(f"figure: {files[-1]}")


def _page(lines: Sequence[ModelScores], commands: Sequence[str]) -> str:
    """Returns the description of the parent run."""
    head, *rows = [row.split("\t") for row in write_table(lines).splitlines()]
    page = ParentPage(
        result=f"**How often {len(lines)} models prefer the verb that agrees with its subject**, "
        "by the distance between both and the number of attractors.",
        facts=[f"The artifacts are `{_TABLE}` and `{_PICTURE}`."],
        commands=commands,
        head=head,
        rows=rows,
    )
    return page.markdown()


def _shown(lines: Sequence[ModelScores]) -> str:
    """Returns the table, with aligned columns in a terminal and with tabs elsewhere."""
    table = write_table(lines).rstrip()
    if not sys.stdout.isatty():
        return table
    headings, *rows = [row.split("\t") for row in table.splitlines()]
    num_labels = len(lines[0].labels) + 1
    columns: dict[str, Justify] = dict.fromkeys(headings, "right")
    columns |= dict.fromkeys(headings[:num_labels], "left")
    return format_table(columns, rows, wraps=headings).rstrip()


def _write(folder: Path, lines: Sequence[ModelScores]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _TABLE, write_table(lines))
    draw_lines(lines, folder / _PICTURE)
    return [folder / _TABLE, folder / _PICTURE]


def _perplexity(scores: Mapping[str, float]) -> str:
    perplexity = scores.get("test/perplexity")
    if perplexity is None:
        return ""
    if math.isnan(perplexity):
        return "test/perplexity nan: the carry overflowed, so its preferences are meaningless"
    return f"test/perplexity {perplexity:.4f}"
