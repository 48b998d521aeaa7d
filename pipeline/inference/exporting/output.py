"""Writes a file of another program under a temporary name until it is complete."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import InputError, os_error_sentence


@contextlib.contextmanager
def unfinished(output: Path) -> Iterator[Path]:
    """Yields the temporary name of a file, which gets its own name if no error occurs.

    Raises:
        InputError: If the file cannot be written, for example because the disk is full.
    """
    written = output.with_name(f".{output.name}.part")
    try:
        yield written
        written.replace(output)
    except OSError as error:
        error.filename = error.filename2 = None
        raise InputError(f"--output {output}: {os_error_sentence(error)}") from error
    finally:
        written.unlink(missing_ok=True)
