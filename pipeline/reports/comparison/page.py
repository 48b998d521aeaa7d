"""A self-contained HTML page that compares runs."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from pipeline.reports.comparison.curves import COLORS, draw_curves, draw_frequencies
from pipeline.reports.comparison.evidence import Analysis, Evidence
from pipeline.reports.comparison.frequencies import frequency_table
from pipeline.tracking.lookup import SHORT_ID
from pipeline.tracking.table import number

_MOST_LABELS = 12
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 0; background: #f6f7f9; }
main { max-width: 1180px; margin: 0 auto; padding: 24px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 14px; margin: 0 0 8px; } p.note { color: #666; margin: 4px 0 16px; }
section { background: #fff; border: 1px solid #e3e6ea; border-radius: 8px; padding: 18px 20px;
  margin: 0 0 18px; overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; } th { color: #555; font-weight: 600; }
th, td { padding: 5px 12px 5px 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #eee; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } td.best { font-weight: 700; }
.row { display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start; }
.row > div { flex: 1 1 420px; min-width: 0; overflow-x: auto; } svg { width: 100%; height: auto; }
.chip { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
.confusion td, .confusion th { text-align: center; padding: 4px 7px; border: 1px solid #fff; }
pre { background: #f3f4f6; padding: 10px 12px; border-radius: 6px; font-size: 12.5px;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: 4px 0 12px; }
li { margin-bottom: 4px; } code { font-size: 13px; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(evidence: Evidence) -> str:
    """Returns a page without external resources and scripts.

    All names, parameters and texts of runs are escaped, and the page's Content-Security-Policy
    forbids scripts and connections.
    """
    rows = [row for group in evidence.groups for row in group.rows]
    experiments = ", ".join(sorted({row.experiment for row in rows}))
    colors = {
        row.run_id: COLORS[i % len(COLORS)]
        for i, group in enumerate(evidence.groups)
        for row in group.rows
    }
    parts = [
        f"<h1>Comparison of {len(rows)} runs</h1>",
        f'<p class="note">{escape(experiments)}</p>',
        _section("Scores", _scores(evidence) + _tests(evidence)),
        _section("Curves", _curves(evidence, colors)),
        _section("Parameters that differ", _params(evidence)),
        _section("Loss by word frequency", _frequencies(evidence)),
        _section("Errors on the test split", _errors(evidence)),
        _section("Commands", _commands(evidence)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Comparison of {len(rows)} runs</title><style>{_STYLE}</style></head>\n"
        f"<body><main>\n{''.join(part for part in parts if part)}</main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>\n" if content else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Formats a table; cells are HTML, either <td> elements or escaped text."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        f"<tr>{''.join(c if c.startswith('<td') else f'<td>{c}</td>' for c in row)}</tr>\n"
        for row in rows
    )
    return f'<table class="{kind}"><tr>{heads}</tr>\n{lines}</table>\n'


def _chip(place: int) -> str:
    return f'<span class="chip" style="background:{COLORS[place % len(COLORS)]}"></span>'


def _scores(evidence: Evidence) -> str:
    rows = []
    best = {name: evidence.best(name) for name in evidence.scores}
    for place, group in enumerate(evidence.groups):
        cells = [_chip(place) + escape(group.name), escape(" ".join(sorted(group.seeds)))]
        for name in evidence.scores:
            text = escape(str(group.summary(name) or "-"))
            cells.append(f'<td class="best">{text}</td>' if place in best[name] else text)
        rows.append(cells)
    note = '<p class="note">Mean ± sample standard deviation over seeds; the best is bold.</p>'
    return _table(["runs", "seeds", *evidence.scores], rows) + note


def _tests(evidence: Evidence) -> str:
    lines = "".join(f"<li>{escape(line)}</li>\n" for line in evidence.tests)
    return f"<ul>{lines}</ul>\n" if lines else ""


def _curves(evidence: Evidence, colors: dict[str, str]) -> str:
    charts = "".join(
        f"<div>{draw_curves(name, curves, colors)}</div>\n"
        for name, curves in evidence.curves.items()
    )
    names = "&emsp;".join(
        _chip(place) + escape(group.name) for place, group in enumerate(evidence.groups)
    )
    return f'<p>{names}</p><div class="row">{charts}</div>\n' if charts else ""


def _params(evidence: Evidence) -> str:
    rows = []
    for name in evidence.params:
        values = [group.rows[0].params.get(name, "(not set)") for group in evidence.groups]
        rows.append([f"<code>{escape(name)}</code>", *(escape(value) for value in values)])
    head = ["parameter", *(group.name for group in evidence.groups)]
    return _table(head, rows) if rows else ""


def _frequencies(evidence: Evidence) -> str:
    if not evidence.losses:
        return ""
    places = {group.rows[0].name: place for place, group in enumerate(evidence.groups)}
    colors = [COLORS[places[one.title] % len(COLORS)] for one in evidence.losses]
    head, rows = frequency_table(evidence.losses)
    table = _table(head, [[escape(cell) for cell in row] for row in rows])
    note = (
        '<p class="note">Nats per test token, by occurrences in the training text of the run.</p>'
    )
    figure = draw_frequencies(evidence.losses, colors)
    return f'<div class="row"><div>{figure}</div><div>{table}{note}</div></div>\n'


def _errors(evidence: Evidence) -> str:
    if not evidence.analyses:
        return ""
    columns = "".join(
        f"<div><h3>{escape(one.title)}</h3>{_by_label(one)}{_kinds(one)}{_confusion(one)}"
        f"{_worst(one)}</div>\n"
        for one in evidence.analyses
    )
    return f'<div class="row">{columns}</div>\n'


def _by_label(analysis: Analysis) -> str:
    found = analysis.numbers.get("types", analysis.numbers.get("labels"))
    if not isinstance(found, dict):
        return ""
    names = ("precision", "recall", "f1", "gold", "predicted")
    rows = [
        [escape(str(label)), *(_number(scores.get(name)) for name in names)]
        for label, scores in list(found.items())[:_MOST_LABELS]
        if isinstance(scores, dict)
    ]
    return _table(["label", *names], rows)


def _kinds(analysis: Analysis) -> str:
    found = analysis.numbers.get("kinds")
    if not isinstance(found, dict):
        return ""
    cells = [[_number(value) for value in found.values()]]
    return "<br>" + _table([str(name) for name in found], cells)


def _confusion(analysis: Analysis) -> str:
    """Formats a confusion matrix; rows are gold, and darker cells are larger shares of a row."""
    found = analysis.numbers.get("confusion")
    if not isinstance(found, list):
        return ""
    counts = {
        (str(entry[0]), str(entry[1])): _plain(entry[2])
        for entry in found
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], int | float)
    }
    totals: dict[str, float] = {}
    for (gold, guess), count in counts.items():
        totals[gold] = totals.get(gold, 0) + count
        totals.setdefault(guess, 0)
    labels = sorted(totals, key=lambda label: -totals[label])[:_MOST_LABELS]
    rows = []
    for gold in labels:
        cells = [f"<td><b>{escape(gold)}</b></td>"]
        for guess in labels:
            share = counts.get((gold, guess), 0) / (totals[gold] or 1)
            color = f"background:rgba(42,111,151,{0.85 * share:.3f})"
            ink = ";color:#fff" if share > 0.6 else ""
            text = _number(counts.get((gold, guess)))
            cells.append(f'<td style="{color}{ink}">{text}</td>')
        rows.append(cells)
    return "<br>" + _table(["gold \\ predicted", *labels], rows, "confusion")


def _worst(analysis: Analysis) -> str:
    if not analysis.worst:
        return ""
    return f"<br><h3>Worst examples</h3><pre>{escape(chr(10).join(analysis.worst))}</pre>"


def _number(value: Any) -> str:  # noqa: ANN401 (from a JSON file)
    return number(_plain(value)) if isinstance(value, int | float) else "-"


def _plain(value: float) -> float:
    """Returns a number of a JSON file as float; an integer may be too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _commands(evidence: Evidence) -> str:
    parts = []
    for group in evidence.groups:
        for row in group.rows:
            command, commit = evidence.commands[row.run_id]
            at = f" · commit <code>{escape(commit[:10])}</code>" if commit else ""
            head = f"<code>{escape(row.run_id[:SHORT_ID])}</code> {escape(row.name)}{at}"
            parts.append(f"<div>{head}</div><pre>{escape(command)}</pre>\n")
    return "".join(parts)
