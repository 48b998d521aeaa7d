"""Whether what a person wants read can be."""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.inference.text_files import STANDARD_INPUT


def check_files(sources: list[Path | str], style: str) -> None:
    """Raises `InputError` for a file that is missing or a table, before a model is loaded."""
    for source in sources:
        if str(source) != STANDARD_INPUT and not Path(source).exists():
            raise InputError(f"--input {source}: there is no such file")
        if style == "sentences" and Path(source).suffix.lower() in (".csv", ".tsv", ".jsonl"):
            raise InputError(
                f"--input {source} is a table, and plain text is expected, a text a line; write "
                "its column of texts to a file, and a line break within a text as a space"
            )
        if Path(source).is_dir():
            raise InputError(f"--input {source} is a folder; a file is expected")
