"""Reads runs and formats tables of them; figures and significance tests are in `reports`."""

from pipeline.tracking.table.columns import number, shared_scores, value_of, varying
from pipeline.tracking.table.groups import Group, Summary, group_by_seed
from pipeline.tracking.table.render import (
    escape_markdown,
    group_table,
    groups_to_json,
    markdown_table,
    run_table,
    runs_to_json,
)
from pipeline.tracking.table.rows import Query, RunRow, list_runs, nest, select_runs

__all__ = [
    "Group",
    "Query",
    "RunRow",
    "Summary",
    "escape_markdown",
    "group_by_seed",
    "group_table",
    "groups_to_json",
    "list_runs",
    "markdown_table",
    "nest",
    "number",
    "run_table",
    "runs_to_json",
    "select_runs",
    "shared_scores",
    "value_of",
    "varying",
]
