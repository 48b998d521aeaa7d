"""Differences between two runs: parameters, scores, and the significance of the main score."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.console import Justify, format_table
from pipeline.errors import InputError
from pipeline.metrics.items import FILE, ItemScores
from pipeline.metrics.labels import is_better_if_lower
from pipeline.reports.comparison.significance import PairedTest, paired_test
from pipeline.tracking.lookup import SHORT_ID, read_artifact
from pipeline.tracking.table import RunRow, markdown_table, number, shared_scores, varying

_WIDEST = 40  # characters of a value in a table


class Difference(NamedTuple):
    """The differences between two runs.

    Attributes:
        rows: The two runs.
        params: Parameters with different values; None where a run has none.
        scores: Metrics of the tests, the best validation scores and sizes, if they differ.
        test: Paired test of the main score, if both runs have scores for the same items.
        why_not: Why there is no paired test; empty if there is one.
    """

    rows: tuple[RunRow, RunRow]
    params: dict[str, tuple[str | None, str | None]]
    scores: dict[str, tuple[float, float]]
    test: PairedTest | None
    why_not: str

    def text(self, markdown: bool = False) -> str:
        """Formats the differences as tables, and the test as a sentence."""
        one, other = self.rows
        head = ("A", one.run_id[:SHORT_ID], one.name, "B", other.run_id[:SHORT_ID], other.name)
        parts = []
        if markdown:
            cells = [head[:3], head[3:]]
            parts.append(markdown_table(["", "run", "name"], cells, (0, 1, 2)))
        else:
            parts.append("".join(f"{a}  {b}  {c}\n" for a, b, c in (head[:3], head[3:])))
        pairs = [(key, *(_shown(value) for value in pair)) for key, pair in self.params.items()]
        parts.append(_table(["parameter", "A", "B"], pairs, markdown) or "no parameter differs\n")
        scores = [
            (key, number(a), number(b), _signed(b - a)) for key, (a, b) in self.scores.items()
        ]
        head_of_scores = ["score", "A", "B", "B - A"]
        parts.append(_table(head_of_scores, scores, markdown) or "no score differs\n")
        parts.append(f"{self.conclusion()}\n")
        return "\n".join(parts)

    def conclusion(self) -> str:
        """Returns the result of the paired test as a sentence, or why there is none."""
        if self.test is None:
            return f"not tested for significance: {self.why_not}"
        return conclusion(self.test, "A", "B")

    def to_json(self) -> str:
        """Formats the differences as JSON."""
        content: dict[str, Any] = {
            "runs": [{"run_id": row.run_id, "name": row.name} for row in self.rows],
            "params": self.params,
            "scores": self.scores,
            "test": self.test and {**self.test._asdict(), "difference": self.test.difference},
            "not_tested": self.why_not or None,
        }
        return json.dumps(content, indent=2)


def compare(rows: Sequence[RunRow]) -> Difference:
    """Compares two runs.

    Raises:
        InputError: If these are not two runs, one is still running, or they have no score in
            common.
    """
    if len(rows) != 2:
        raise InputError(f"expected two different runs, got {len(rows)}")
    one, other = rows
    require_ended(rows)
    scores = shared_scores(rows)
    params = {name: (one.params.get(name), other.params.get(name)) for name in varying(rows, True)}
    test, why_not = _tested(one, other)
    differing = {key: (a, b) for key, (a, b) in scores.items() if a != b}
    return Difference((one, other), params, differing, test, why_not)


def require_ended(rows: Sequence[RunRow]) -> None:
    """Raises `InputError` for a run that is still running or waits to be continued."""
    for row in rows:
        if row.status in ("RUNNING", "SCHEDULED"):
            raise InputError(
                f"run {row.run_id[:SHORT_ID]} ({row.name}) is {row.status}, so its scores are not "
                "final; wait until it ends, or continue it with "
                f"`unroll train --resume {row.run_id[:SHORT_ID]}`"
            )


def read_items(run_id: str) -> ItemScores | None:
    """Returns the scores per item of a run's test, or None if it stored none that can be read."""
    text = read_artifact(run_id, f"report/{FILE}")
    try:
        return None if text is None else ItemScores.from_json(text)
    except ValueError:
        return None


def conclusion(test: PairedTest, first: str, second: str) -> str:
    """Returns the result of a paired test as a sentence about two models.

    Example:
        >>> test = PairedTest("f1", 3000, 0.70, 0.72, 0.0104, False, 0.004, 0.036)
        >>> conclusion(test, "A", "B")[:56]
        'f1 of B is 0.02 higher than that of A (better; 95 % conf'
    """
    if test.difference == 0:
        return f"{test.metric} of {first} and {second} is the same on {test.num_items:,} items"
    is_higher = test.difference > 0
    is_better = is_higher != is_better_if_lower(test.metric)
    kind = "all exchanges" if test.is_exact else "random exchanges"
    p = f"p < {0.0001}" if test.p_value < 0.00015 else f"p = {test.p_value:.2g}"
    return (
        f"{test.metric} of {second} is {number(abs(test.difference))} "
        f"{'higher' if is_higher else 'lower'} than that of {first} "
        f"({'better' if is_better else 'worse'}; 95 % confidence interval of the difference "
        f"{_signed(test.low)} to {_signed(test.high)}); {p} "
        f"(paired permutation test, {test.num_items:,} items, {kind})"
    )


def _tested(one: RunRow, other: RunRow) -> tuple[PairedTest | None, str]:
    found = []
    for row in (one, other):
        items = read_items(row.run_id)
        if items is None:
            return None, f"run {row.run_id[:SHORT_ID]} has no scores per test item"
        found.append(items)
    try:
        return paired_test(*found), ""
    except ValueError as error:
        return None, str(error)


def _table(head: list[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    if not rows:
        return ""
    if markdown:
        return markdown_table(head, rows)
    columns: dict[str, Justify] = {
        name: "right" if head[0] == "score" and place else "left" for place, name in enumerate(head)
    }
    return format_table(columns, rows, wraps=head[1:] if head[0] == "parameter" else ())


def _shown(value: str | None) -> str:
    text = "(not set)" if value is None else value
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '-'}{number(abs(value))}"
