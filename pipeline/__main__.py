"""`python -m pipeline <verb>`, and the command `unroll`.

The only module of `pipeline` that knows our tasks and datamodules; it imports them when needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.common import EntryPoint
from pipeline.cli.main import main
from pipeline.process import defer_garbage_collection

if TYPE_CHECKING:
    from datamodules.language_model.builtin import Agreement

SHORT_NAMES = (
    "tasks.language_model",
    "tasks.ngram",
    "tasks.mixture",
    "tasks.tagging",
    "tasks.sentiment",
    "tasks.long_memory",
    "datamodules.language_model.datamodule",
    "datamodules.tagging.datamodule",
    "datamodules.tagging.builtin",
    "datamodules.tagging.columns",
    "datamodules.batching.folds",
    "datamodules.tagging.mpqa.released",
    "datamodules.sentiment.datamodule",
    "datamodules.sentiment.builtin",
    "datamodules.sentiment.reviews",
    "datamodules.sentiment.sst",
    "datamodules.sentiment.table",
    "datamodules.long_memory.datamodule",
    "pipeline.callbacks.averaging",
    "pipeline.callbacks.encoder_start",
    "pipeline.callbacks.gradient_monitor",
    "pipeline.decoders",
    "pipeline.encoders",
    "pipeline.heads",
    "pipeline.inputs",
    "pipeline.mixtures",
    "pipeline.ngrams",
    "pipeline.pooling",
    "pipeline.regularization",
    "pipeline.schedules",
    "pipeline.synthetic",
)
"""Modules and packages whose classes can be named without their path."""


def _prepare(corpus: str, source: Path | None, folder: Path | None) -> str:
    from datamodules.files.paths import corpus_folder
    from datamodules.prepare.command import prepare

    return str(prepare(corpus, source, folder / corpus if folder else corpus_folder(corpus)))


def _agreement_verbs(starts: Sequence[int], per_range: int) -> "list[Agreement]":
    from datamodules.language_model.builtin import agreement_probe

    return agreement_probe(starts, per_range)


ENTRY_POINT = EntryPoint(SHORT_NAMES, _prepare, _agreement_verbs)


def run() -> int:
    """Runs the command line."""
    with defer_garbage_collection():
        return main(None, ENTRY_POINT)


if __name__ == "__main__":
    raise SystemExit(run())
