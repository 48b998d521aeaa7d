"""Loss by word frequency of several language models."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.tracking.lookup import read_artifact

_RANGE = re.compile(r"([\d,]{1,20})( to [\d,]{1,20})?")
_MOST_RANGES = 20


class FrequencyLoss(NamedTuple):
    """Loss by word frequency of one run.

    Attributes:
        title: Name of the run.
        ranges: Number of test tokens, and their mean loss in nats, for each range of occurrences in
            the training text, such as "1 to 9".
    """

    title: str
    ranges: Mapping[str, tuple[int, float]]


def read_frequencies(run_id: str, title: str) -> FrequencyLoss | None:
    """Reads the table of a run; None if it has none, as runs of other tasks, or it is damaged."""
    try:
        data = json.loads(read_artifact(run_id, "tables/loss_by_frequency.json") or "")["data"]
        found = {str(name): (int(count), float(loss)) for name, count, loss in data[:_MOST_RANGES]}
    except (ValueError, LookupError, TypeError):
        return None
    ranges = {name: found[name] for name in found if _RANGE.fullmatch(name)}
    return FrequencyLoss(title, ranges) if ranges else None


def frequency_table(losses: Sequence[FrequencyLoss]) -> tuple[list[str], list[list[str]]]:
    """Returns the head and the rows of a table: ranges, test tokens, and the loss of each run.

    A number of tokens that differs from that of an earlier run, whose vocabulary is another, is
    written behind the loss.

    Example:
        >>> one, other = {"0": (9, 8.5), "1 to 9": (30, 6.0)}, {"1 to 9": (39, 6.25)}
        >>> head, rows = frequency_table([FrequencyLoss("a", one), FrequencyLoss("b", other)])
        >>> rows
        [['0', '9', '8.5', '-'], ['1 to 9', '30', '6', '6.25 (39 tokens)']]
    """
    rows = []
    for name in ordered_ranges(losses):
        cells = [one.ranges.get(name) for one in losses]
        first = next(cell for cell in cells if cell is not None)[0]
        rows.append([name, f"{first:,}", *(_shown(cell, first) for cell in cells)])
    return ["occurrences in training", "test tokens", *(one.title for one in losses)], rows


def ordered_ranges(losses: Sequence[FrequencyLoss]) -> list[str]:
    """Returns the ranges that any run has, rare words first."""
    names = {name for one in losses for name in one.ranges}
    return sorted(names, key=lambda name: int(name.split()[0].replace(",", "") or 0))


def _shown(cell: tuple[int, float] | None, expected: int) -> str:
    if cell is None:
        return "-"
    count, loss = cell
    return f"{loss:.4g}" if count == expected else f"{loss:.4g} ({count:,} tokens)"
