"""`python -m pipeline <verb>`, and the command `unroll`."""

from pipeline.cli.main import main
from pipeline.process import defer_garbage_collection

KNOWN = (
    "tasks.language_model",
    "tasks.mixture",
    "pipeline.mixtures",
    "tasks.ngram",
    "tasks.tagging",
    "tasks.sentiment",
    "tasks.long_memory",
    "datamodules.language_model.datamodule",
    "datamodules.tagging.datamodule",
    "datamodules.tagging.columns",
    "datamodules.tagging.mpqa.released",
    "datamodules.tagging.builtin",
    "datamodules.sentiment.datamodule",
    "datamodules.sentiment.sst",
    "datamodules.sentiment.reviews",
    "datamodules.sentiment.table",
    "datamodules.sentiment.builtin",
    "datamodules.long_memory.datamodule",
    "pipeline.synthetic",
)
"""Modules whose classes may be named without their path."""


def run() -> int:
    """Runs the command line; our tasks and datamodules are known by their short names."""
    with defer_garbage_collection():
        return main(known=KNOWN)


if __name__ == "__main__":
    raise SystemExit(run())
