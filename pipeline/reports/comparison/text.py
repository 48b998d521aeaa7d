"""A Markdown page that compares runs."""

from pipeline.reports.comparison.evidence import Evidence
from pipeline.reports.comparison.frequencies import frequency_table
from pipeline.tracking.lookup import SHORT_ID
from pipeline.tracking.table import escape_markdown, markdown_table


def markdown_page(evidence: Evidence) -> str:
    """Returns the tables, tests and commands of a comparison as Markdown, without curves."""
    count = sum(len(group.rows) for group in evidence.groups)
    parts = [f"# Comparison of {count} runs\n", _scores(evidence)]
    if evidence.tests:
        parts.append("".join(f"- {escape_markdown(line)}\n" for line in evidence.tests))
    if evidence.params:
        head = ["parameter", *(group.name for group in evidence.groups)]
        rows = [
            [name, *(group.rows[0].params.get(name, "(not set)") for group in evidence.groups)]
            for name in evidence.params
        ]
        parts += ["## Parameters that differ\n", markdown_table(head, rows)]
    if evidence.losses:
        parts += ["## Loss by word frequency\n", markdown_table(*frequency_table(evidence.losses))]
    for one in evidence.analyses:
        if one.worst:
            parts += [f"## Errors of {escape_markdown(one.title)}\n", _block(one.worst)]
    parts.append("## Commands\n")
    for group in evidence.groups:
        for row in group.rows:
            command, commit = evidence.commands[row.run_id]
            at = f", commit {escape_markdown(commit[:10])}" if commit else ""
            parts.append(f"{row.run_id[:SHORT_ID]} {escape_markdown(row.name)}{at}\n")
            parts.append(_block(command.splitlines()))
    return "\n".join(parts)


def _scores(evidence: Evidence) -> str:
    rows = []
    best = {name: evidence.best(name) for name in evidence.scores}
    for place, group in enumerate(evidence.groups):
        cells = [group.name, " ".join(sorted(group.seeds))]
        for name in evidence.scores:
            mark = " (best)" if place in best[name] else ""
            cells.append(f"{group.summary(name) or '-'}{mark}")
        rows.append(cells)
    return markdown_table(["runs", "seeds", *evidence.scores], rows, (0, 1))


def _block(lines: list[str]) -> str:
    """Formats a code block; an indented one, since lines may contain any fence."""
    return "".join(f"    {line}\n" for line in lines)
