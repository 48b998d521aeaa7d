"""Formats runs and groups of runs as text, Markdown and JSON."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.console import Justify, format_table, terminal_width
from pipeline.tracking.lookup import SHORT_ID
from pipeline.tracking.table.columns import (
    FIXED,
    KNOWN,
    headings,
    is_finite,
    number,
    require_columns,
    useful_columns,
    value_of,
)
from pipeline.tracking.table.groups import Group, Summary
from pipeline.tracking.table.rows import RunRow, nest

_LEFT = ("run", "name", "experiment", "status", "started", "metric", "group", "seeds")
_NAME = 24  # characters of names that are shown before further columns
_MOST = 8  # parameters of a table, unless named by the user
_GAP = 2  # between columns
_BRANCH = "└ "
_CLASS_PATH = re.compile(r"[a-z_]\w*(\.\w+)*\.[A-Z]\w*")


def run_table(
    rows: Sequence[RunRow], columns: Sequence[str] | None = None, markdown: bool = False
) -> str:
    """Formats runs as a table, with children below their parents.

    In a terminal the table fits its width: names are cut in the middle, and columns are left out,
    the least important first. Elsewhere nothing is cut. Without `columns`, at most 8 parameters are
    shown.

    Raises:
        InputError: If no run has a value in one of the columns.
    """
    require_columns(columns or (), rows)
    chosen = list(columns or useful_columns(rows))
    if columns is None:
        extra = [name for name in chosen if name not in FIXED]
        chosen = [name for name in chosen if name not in extra[_MOST:]]
    ids, depths = _short_ids(rows), _depths(rows)
    cells = [[_cell(row, name, ids, depths) for name in chosen] for row in rows]
    return _format(chosen, headings(chosen, rows), cells, columns is None, markdown)


def group_table(
    groups: Sequence[Group], columns: Sequence[str] | None = None, markdown: bool = False
) -> str:
    """Formats groups as a table: scores are means and standard deviations over seeds.

    Raises:
        InputError: If no run has a value in one of the columns.
    """
    rows = [row for group in groups for row in group.rows]
    require_columns([name for name in columns or () if name not in ("runs", "seeds")], rows)
    useful = [name for name in useful_columns(rows) if name in ("metric", "test", "val", KNOWN)]
    several = ["experiment"] if len({row.experiment for row in rows}) > 1 else []
    chosen = list(columns or ["name", "runs", *useful, *several, "seeds"])
    cells = [[_group_cell(group, name) for name in chosen] for group in groups]
    return _format(chosen, headings(chosen, rows), cells, columns is None, markdown)


def runs_to_json(rows: Sequence[RunRow]) -> str:
    """Formats runs as a JSON list with all metrics and parameters; infinite and nan become null."""
    return json.dumps([_plain_run(row) for row in rows], indent=2, allow_nan=False)


def groups_to_json(groups: Sequence[Group]) -> str:
    """Formats groups as a JSON list: runs, seeds, and mean, standard deviation and number."""
    found = [
        {
            "name": group.name,
            "group": group.rows[0].group,
            "experiment": group.rows[0].experiment,
            "runs": [row.run_id for row in group.rows],
            "seeds": group.seeds,
            "metrics": {name: _plain_summary(one) for name, one in group.metrics().items()},
        }
        for group in groups
    ]
    return json.dumps(found, indent=2, allow_nan=False)


def markdown_table(
    head: Sequence[str], cells: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    r"""Formats a Markdown table; `left` are the numbers of columns that are aligned to the left.

    Example:
        >>> print(markdown_table(["run", "F1"], [["a|b", "0.5"]]), end="")
        | run | F1 |
        |:---|---:|
        | a\|b | 0.5 |
    """
    rule = [":---" if place in left else "---:" for place in range(len(head))]
    rows = [[escape_markdown(cell) for cell in row] for row in (head, *cells)]
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join([lines[0], f"|{'|'.join(rule)}|\n", *lines[1:]])


def escape_markdown(text: str) -> str:
    r"""Escapes characters that Markdown or HTML would interpret.

    Example:
        >>> escape_markdown("<b>a_b</b>")
        '&lt;b&gt;a\\_b&lt;/b&gt;'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{mark}" if mark in r"\`*_[]|" else mark for mark in _one_line(text))


def duration(seconds: float) -> str:
    """Formats seconds as m:ss or h:mm:ss.

    Example:
        >>> duration(3725.0)
        '1:02:05'
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _cell(row: RunRow, column: str, ids: Mapping[str, str], depths: Mapping[str, int]) -> str:
    if column == "run":
        return ids[row.run_id]
    if column == "name":
        depth = depths[row.run_id]
        return f"{'  ' * (depth - 1)}{_BRANCH}{row.name}" if depth else row.name
    if column == "started":
        return f"{row.start.astimezone():%m-%d %H:%M}"
    if column == "took":
        return duration(row.duration)
    return _text(value_of(row, column))


def _text(value: float | str | None) -> str:
    """Formats a value; of the path of a class, such as `torch.optim.Adam`, only its last part."""
    if not isinstance(value, str):
        return number(value)
    return value.rpartition(".")[2] if _CLASS_PATH.fullmatch(value) else value


def _group_cell(group: Group, column: str) -> str:
    special = {
        "name": group.name,
        "runs": str(len(group.rows)),
        "seeds": " ".join(sorted(group.seeds, key=lambda seed: (len(seed), seed))),
    }
    if column in special:
        return special[column]
    if (summary := group.summary(column)) is not None:
        return str(summary)
    values = {_text(value_of(row, column)) for row in group.rows}
    return values.pop() if len(values) == 1 else "(various)"


def _format(
    columns: Sequence[str],
    head: Sequence[str],
    cells: Sequence[Sequence[str]],
    is_fitted: bool,
    markdown: bool,
) -> str:
    cells = [[_one_line(cell) for cell in row] for row in cells]
    if markdown:
        order = [columns.index(name) for name in (_arranged(columns) if is_fitted else columns)]
        rows = [[row[place] for place in order] for row in cells]
        left = [place for place, i in enumerate(order) if columns[i] in _LEFT]
        return markdown_table([head[place] for place in order], rows, left)
    width = terminal_width()
    widths = {
        name: max(_width(text) for text in (head[i], *(row[i] for row in cells)))
        for i, name in enumerate(columns)
    }
    shown = _fitting(columns, widths, width) if is_fitted else list(columns)
    if "name" in shown:
        rest = sum(widths[name] + _GAP for name in shown if name != "name")
        room = max(8, width - rest)
        place = columns.index("name")
        cells = [[*row[:place], _cut(row[place], room), *row[place + 1 :]] for row in cells]
    places = [columns.index(name) for name in shown]
    aligned: dict[str, Justify] = {
        head[i]: "left" if columns[i] in _LEFT else "right" for i in places
    }
    total = sum(widths[name] + _GAP for name in shown)
    return format_table(aligned, [[row[i] for i in places] for row in cells], width=total or 1)


def _fitting(columns: Sequence[str], widths: Mapping[str, int], width: int) -> list[str]:
    """Returns the most important columns that fit, in the order in which tables show them."""
    used, chosen = 0, []
    for name in columns:
        needed = min(widths[name], _NAME) if name == "name" else widths[name]
        if used + needed <= width or name in ("run", "name"):
            used += needed + _GAP
            chosen.append(name)
    return _arranged(chosen)


def _arranged(columns: Sequence[str]) -> list[str]:
    """Returns columns in reading order: the run, then parameters, then scores."""
    first = ("run", "name", "experiment", "status", "started", "took", "runs", "seeds")
    last = ("metric", "val", "test", KNOWN)
    rank = {name: place for place, name in enumerate(first)}
    rank |= {name: 1000 + place for place, name in enumerate(last)}
    return sorted(columns, key=lambda name: rank.get(name, 500))


def _short_ids(rows: Sequence[RunRow]) -> dict[str, str]:
    """Shortens ids to `SHORT_ID` digits, or more where these are not unique."""
    ids = [row.run_id for row in rows]
    length = SHORT_ID
    while length < 32 and len({one[:length] for one in ids}) < len(set(ids)):
        length += 1
    return {one: one[:length] for one in ids}


def _depths(rows: Sequence[RunRow]) -> dict[str, int]:
    parents = {row.run_id: row.parent for row in rows}
    depths: dict[str, int] = {}
    for row in (row for family in nest(rows) for row in family):
        parent = parents[row.run_id]
        depths[row.run_id] = depths[parent] + 1 if parent in depths else 0
    return {row.run_id: depths.get(row.run_id, 0) for row in rows}


def _cut(name: str, width: int) -> str:
    """Cuts a name in the middle, since its end contains the seed or fold."""
    if len(name) <= width:
        return name
    last = min(12, width // 2)
    return f"{name[: width - last - 1]}…{name[len(name) - last :]}"


def _one_line(text: str) -> str:
    """Replaces characters that would break a table or control a terminal."""
    return "".join(" " if unicodedata.category(mark) in ("Cc", "Cf") else mark for mark in text)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _plain_run(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "name": row.name,
        "experiment": row.experiment,
        "status": row.status,
        "start": row.start.isoformat(),
        "duration": row.duration,
        "parent": row.parent,
        "group": row.group,
        "metric": row.metric,
        "val": _finite(row.val),
        "test": _finite(row.test),
        "metrics": {name: _finite(value) for name, value in sorted(row.metrics.items())},
        "params": dict(row.params),
    }


def _plain_summary(summary: Summary) -> dict[str, float | None]:
    return {"mean": summary.mean, "std": _finite(summary.std), "runs": summary.num_runs}


def _finite(value: float | None) -> float | None:
    return value if value is not None and is_finite(value) else None
