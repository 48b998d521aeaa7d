"""`configs`: list the configurations that `--config` takes by name."""

import argparse
import difflib
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.cli import common
from pipeline.console import print_result
from pipeline.errors import InputError
from pipeline.preflight.configurations import comments, configurations, is_overlay


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "configs",
        "List configurations with their command and expected score.",
        "Files in ./configs replace shipped ones of the same name. Overlays change another "
        "configuration and are combined with it.",
    )
    verb.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="",
        help="Part of the name, or a pattern such as 'lm/ptb-*' (default: all).",
    )


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Prints the configurations and returns the exit code."""
    common.require_no_fields(options, fields)
    known = configurations()
    pattern = options.pattern
    names = [name for name in known if pattern in name or fnmatchcase(name, pattern)]
    if not names:
        near = difflib.get_close_matches(pattern, known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"no configuration matches {pattern}{hint}")
    spaces = [name for name in names if name.startswith("sweeps/")]
    overlays = [name for name in names if is_overlay(known[name])]
    others = [name for name in names if name not in (*overlays, *spaces)]
    for title, found in (
        ("Configurations", others),
        ("Overlays, to be combined with another configuration", overlays),
        ("Search spaces, for `unroll sweep --space`", spaces),
    ):
        if found:
            print_result(f"{title}:")
            print_result("\n".join(_entry(name, known[name]) for name in found))
    return 0


def _entry(name: str, path: Path) -> str:
    lines = comments(path)
    end = next((n for n, line in enumerate(lines[1:], 2) if line.endswith(".")), len(lines))
    return "\n".join([f"  {name}", *(f"      {line}" for line in lines[:end])])
