"""Collects what a report shows of runs: scores, curves, error analyses, tests and commands."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.errors import InputError
from pipeline.metrics.items import ItemScores
from pipeline.metrics.labels import is_better_if_lower
from pipeline.reports.comparison.difference import conclusion, read_items, require_ended
from pipeline.reports.comparison.frequencies import FrequencyLoss, read_frequencies
from pipeline.reports.comparison.significance import paired_test
from pipeline.tracking.lookup import SHORT_ID, metric_history, read_artifact
from pipeline.tracking.table import Group, RunRow, group_by_seed, shared_scores, varying

_MOST_SCORES = 5
_MOST_TESTS = 10
_MOST_ANALYSES = 4
_MOST_SENTENCES = 15
_COUNTS = ("test/tokens", "test/unk", "test/sentences", "test/malformed_gold")


class Analysis(NamedTuple):
    """The error analysis of one run.

    Attributes:
        title: Name of the run.
        numbers: Contents of the run's `report.json`; empty for a language model.
        worst: Lines of the worst sentences or texts.
    """

    title: str
    numbers: Mapping[str, Any]
    worst: list[str]


class Evidence(NamedTuple):
    """Contents of a report.

    Attributes:
        groups: Runs that differ only in the seed.
        scores: Metrics that all runs have, the main score first.
        params: Parameters that differ, without the seed.
        curves: (step, value) pairs for each metric and run id.
        analyses: Error analyses of the first run of each group.
        losses: Loss by word frequency of the first run of each group, if they have it.
        tests: Results of paired tests between the first run and others, as sentences.
        commands: The command, and the commit if known, of each run id.
    """

    groups: list[Group]
    scores: list[str]
    params: list[str]
    curves: dict[str, dict[str, list[tuple[int, float]]]]
    analyses: list[Analysis]
    losses: list[FrequencyLoss]
    tests: list[str]
    commands: dict[str, tuple[str, str]]

    def best(self, score: str) -> set[int]:
        """Returns the numbers of the groups with the best mean of a score."""
        found = {i: group.summary(score) for i, group in enumerate(self.groups)}
        means = {i: one.mean for i, one in found.items() if one is not None}
        if len(means) < 2:
            return set()
        choose = min if is_better_if_lower(score) else max
        return {i for i, mean in means.items() if mean == choose(means.values())}


def collect(rows: Sequence[RunRow], metrics: Sequence[str] = ()) -> Evidence:
    """Collects the evidence on runs of one task.

    `metrics` are further metrics to show, as scores and as curves.

    Raises:
        InputError: If a run is still running, the runs have no score in common, or none has one of
            the metrics.
    """
    require_ended(rows)
    for metric in metrics:
        if not any(metric in row.metrics for row in rows):
            raise InputError(
                f"none of the {len(rows)} runs has a metric {metric!r}; "
                "`unroll runs --json` lists all metrics"
            )
    shared = shared_scores(rows)
    groups = group_by_seed(rows) or [Group(row.name, [row]) for row in rows]
    return Evidence(
        groups,
        _scores(shared, rows, metrics),
        [name for name in varying(rows, True) if name != "seed_everything"],
        _curves(rows, metrics),
        [one for group in groups[:_MOST_ANALYSES] if (one := _analysis(group)) is not None],
        _losses(groups),
        _tests(groups),
        {row.run_id: _command(row) for group in groups for row in group.rows},
    )


def _scores(
    shared: Mapping[str, tuple[float, ...]], rows: Sequence[RunRow], metrics: Sequence[str]
) -> list[str]:
    main = [f"test/{row.metric}" for row in rows[:1] if f"test/{row.metric}" in shared]
    main += [name for name in shared if name.startswith("best/")]
    rest = [name for name in shared if name.startswith(("test/", "model/")) and name not in _COUNTS]
    return list(dict.fromkeys([*metrics, *main, *rest]))[: _MOST_SCORES + len(metrics)]


def _curves(
    rows: Sequence[RunRow], metrics: Sequence[str]
) -> dict[str, dict[str, list[tuple[int, float]]]]:
    main = dict.fromkeys(f"val/{row.metric}" for row in rows if row.metric)
    found = {}
    for key in dict.fromkeys((*main, "train/loss", *metrics)):
        curves = {row.run_id: metric_history(row.run_id, key) for row in rows if key in row.metrics}
        if curves:
            found[key] = curves
    return found


def _analysis(group: Group) -> Analysis | None:
    row = group.rows[0]
    numbers = _json(row.run_id, "report/report.json")
    text = read_artifact(row.run_id, "report/errors.txt") or ""
    starts = [text.find(f"\n{title}") for title in ("Worst sentences", "Most confident errors")]
    start = max(starts)
    worst = text[start:].strip().splitlines()[1:16] if start >= 0 else _worst_lines(row.run_id)
    return Analysis(row.name, numbers, worst) if numbers or worst else None


def _worst_lines(run_id: str) -> list[str]:
    """Returns lines of the worst sentences of a language model: loss and text."""
    table = _json(run_id, "tables/worst_sentences.json")
    try:
        places = [table["columns"].index(name) for name in ("nll per token", "text")]
        rows = [[row[place] for place in places] for row in table["data"][:_MOST_SENTENCES]]
        return [f"{float(loss):.3f}  {text}" for loss, text in rows]
    except (LookupError, TypeError, ValueError, AttributeError):
        return []


def _json(run_id: str, artifact_path: str) -> dict[str, Any]:
    """Returns the object in a JSON file of a run; {} if there is none, or it is damaged."""
    try:
        found = json.loads(read_artifact(run_id, artifact_path) or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _losses(groups: Sequence[Group]) -> list[FrequencyLoss]:
    firsts = [group.rows[0] for group in groups]
    return [one for row in firsts if (one := read_frequencies(row.run_id, row.name)) is not None]


def _tests(groups: Sequence[Group]) -> list[str]:
    """Compares the first run of each group with that of the first group."""
    firsts = [group.rows[0] for group in groups[: _MOST_TESTS + 1]]
    items: list[ItemScores | None] = [read_items(row.run_id) for row in firsts]
    found = []
    for row, other in zip(firsts[1:], items[1:], strict=True):
        if items[0] is None or other is None:
            continue
        try:
            found.append(conclusion(paired_test(items[0], other), firsts[0].name, row.name))
        except ValueError:
            found.append(f"{firsts[0].name} and {row.name} were tested on different items")
    return found


def _command(row: RunRow) -> tuple[str, str]:
    text = read_artifact(row.run_id, "command.txt") or ""
    command = text.strip() or f"no command is stored for run {row.run_id[:SHORT_ID]}"
    return command, row.tags.get("mlflow.source.git.commit", "")
