"""`parts`: list the classes that a configuration can name."""

import argparse
import textwrap

from pipeline.cli import common
from pipeline.console import print_result
from pipeline.preflight.parts import Parts, parts, summary


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb."""
    common.add_verb(
        verbs,
        run,
        "parts",
        "List tasks, datamodules, encoders and all other classes that flags can name.",
        "Each list has the flag that takes the class, for example --model.encoder=LSTM. The "
        "parameters of a class are flags as well: --model.encoder.hidden_size=650. Classes in your "
        "own modules are named with their path: --model.encoder=my_module.MyEncoder.",
    )


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Prints the classes and returns the exit code."""
    common.require_no_fields(options, fields)
    print_result("\n\n".join(_table(found) for found in parts(entry.short_names)))
    return 0


def _table(found: Parts) -> str:
    lines = [f"{found.flag}: {found.base.node.name}"]
    width = max(len(c.node.name) for c in found.classes)
    lines += [f"  {c.node.name:{width}}  {summary(c)}" for c in found.classes]
    if found.wrappers:
        names = ", ".join(c.node.name for c in found.wrappers)
        text = f"Built from other parts: {names}."
        lines += textwrap.wrap(text, 98, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)
