"""What a person reads in the terminal: results on stdout, everything else on stderr."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.errors import InputError


def is_first_process() -> bool:
    """True unless a launcher (ddp, torchrun, srun) gave this process another rank than 0."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return all(rank == "0" for rank in ranks)


def print_note(text: str) -> None:
    """Tells the progress of work, on stderr, from the first process only."""
    if is_first_process():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def print_error(text: str) -> None:
    """Tells what went wrong, on stderr, from whatever process it went wrong in."""
    sys.stderr.write(f"unroll: {text}\n")
    sys.stderr.flush()


def print_result(text: str) -> None:
    """Gives a result, on stdout, from the first process only."""
    if is_first_process():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def check_output(output: Path | None) -> None:
    """Checks that the folder of an output file exists.

    Raises:
        InputError: If it does not exist.
    """
    if output is not None and not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; create it first")


@contextlib.contextmanager
def open_output(output: Path | None) -> Iterator[TextIO]:
    """Opens an output file, which appears under its name only when it is complete.

    Args:
        output: Output file; standard output, as UTF-8, if None.

    Raises:
        InputError: If the folder of the file does not exist.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # the same bytes as a file, in any locale
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
