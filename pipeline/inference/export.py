"""`export`: a trained n-gram model as a file that other programs read."""

from pathlib import Path
from typing import Any, cast

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import load_trained
from pipeline.console import print_result
from pipeline.ngrams import write_arpa
from pipeline.text.vocabulary import Vocabulary


def export(run: str | None, checkpoint: Path | None, output: Path) -> int:
    """Writes an n-gram model in the ARPA format.

    Args:
        run: the run that estimated it, **or**
        checkpoint: its file.
        output: what to write; its name and folder have been checked.

    Returns:
        The exit code, 0.
    """
    trained = load_trained(locate(run, checkpoint), "NgramLanguageModel")
    model = cast(Any, trained.model).head.model
    write_arpa(output, model, Vocabulary(trained.data["vocabulary"]))
    print_result(str(output))
    return 0
