"""Validation scores in a file that another process reads while the training runs."""

import json
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.errors import InputError

SCORES = "UNROLL_SCORES"
"""Environment variable that names the file."""


class ScoreFile(Callback):
    """Appends a line of JSON to a file after each validation: its step and scores `val/*`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        found = trainer.callback_metrics
        scores = {name: float(value) for name, value in found.items() if name.startswith("val/")}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": trainer.global_step, **scores}) + "\n")


def read_scores(path: Path, metric: str) -> list[float]:
    """Returns the values of a metric by validation, each step once although a resume repeats it.

    Raises `InputError` if the file is damaged, or a validation lacks the metric.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last may be incomplete
        rows = [json.loads(line) for line in lines if line]
        return list({int(row["step"]): float(row[metric]) for row in rows}.values())
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged: expected lines of JSON with `step` and `{metric}`; restore the "
            "file, or start the sweep again"
        ) from error
