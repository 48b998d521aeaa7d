"""`python -m pipeline <verb>`, and the command `unroll`."""

from pipeline.cli import main
from pipeline.process import uncollected

KNOWN = (
    "tasks.language_model",
    "tasks.mixture",
    "pipeline.mixtures",
    "tasks.ngram",
    "tasks.tagging",
    "tasks.sentiment",
    "tasks.memory",
    "datamodules.language_model",
    "datamodules.tagging",
    "datamodules.columns",
    "datamodules.mpqa",
    "datamodules.opinions",
    "datamodules.sentiment",
    "datamodules.sst",
    "datamodules.reviews",
    "datamodules.table",
    "datamodules.builtin_reviews",
    "datamodules.memory",
    "pipeline.problems",
)
"""Modules whose classes may be named without their path."""


def run() -> int:
    """Runs the command line; our tasks and datamodules are known by their short names."""
    with uncollected():
        return main(known=KNOWN)


if __name__ == "__main__":
    raise SystemExit(run())
