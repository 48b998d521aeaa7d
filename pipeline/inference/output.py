"""Where a command's results go: standard output, or a file that is there as a whole or not."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.errors import InputError


def check_output(output: Path | None) -> None:
    """Raises `InputError` where a file cannot be written, before anything is computed."""
    if output is not None and not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; create it first")


@contextlib.contextmanager
def writing(output: Path | None) -> Iterator[TextIO]:
    """Opens what is written, which is there as a whole or not at all.

    Args:
        output: a file; standard output, in UTF-8, if omitted.

    Raises:
        InputError: its folder does not exist.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # as a file, whatever the locale
        yield sys.stdout
        return
    check_output(output)
    temporary = output.with_name(f".{output.name}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            yield file
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
