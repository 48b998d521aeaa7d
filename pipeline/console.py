"""Output of commands: results on standard output; notes, errors and progress on standard error."""

import contextlib
import functools
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias, TypeVar

from pipeline.errors import InputError, os_error_sentence

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Justify: TypeAlias = Literal["left", "right"]
T = TypeVar("T")
UNLIMITED = 10_000  # columns, so that no line is cut
_UPDATE_SECONDS = 0.1  # an update of the bar takes microseconds, a line of text less


def is_first_process() -> bool:
    """Returns True in rank 0 of a DDP, torchrun or srun job, and in a process without a job."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return all(rank == "0" for rank in ranks)


def print_note(text: str) -> None:
    """Prints a note about the work on standard error, in the first process only."""
    if is_first_process():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def print_error(text: str) -> None:
    """Prints an error on standard error, in any process."""
    sys.stderr.write(f"unroll: {text}\n")
    sys.stderr.flush()


def print_result(text: str) -> None:
    """Prints a result on standard output, in the first process only."""
    if is_first_process():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def format_table(
    columns: Mapping[str, Justify],
    rows: Iterable[Sequence["RenderableType"]],
    wraps: Collection[str] = (),
    width: int | None = None,
) -> str:
    """Returns a table with aligned columns.

    `columns` contains the heading and alignment of each column, and `wraps` the headings of the
    columns that become narrower if the table is wider than `width`, by default the terminal.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading, justify in columns.items():
        table.add_column(heading, justify=justify, no_wrap=heading not in wraps)
    for row in rows:
        table.add_row(*row)
    console = Console(
        file=io.StringIO(),
        width=width or terminal_width(),
        color_system=None,
        emoji=False,
        markup=False,
    )
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def terminal_width() -> int:
    """Returns the width of the terminal of standard output, or `UNLIMITED` if there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED


@contextlib.contextmanager
def progress_bar(
    description: str, total: int | None = None, done: int = 0, is_bytes: bool = False
) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on standard error, if that is a terminal.

    Yields a function that advances the bar by a number of items, of which `done` were processed
    earlier.
    """
    if not (sys.stderr.isatty() and is_first_process()):
        yield lambda count: None
        return
    from rich import progress  # takes 50 ms

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn() if is_bytes else progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn() if total else progress.TimeElapsedColumn(),
    )
    # A redirected sys.stdout would send results to standard error.
    with progress.Progress(
        *columns, console=_stderr_console(), transient=True, redirect_stdout=False
    ) as bar:
        task = bar.add_task(description, total=total, completed=done)
        pending, updated = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal pending, updated
            pending += count
            if (now := time.monotonic()) - updated > _UPDATE_SECONDS:
                bar.advance(task, pending)
                pending, updated = 0, now

        yield advance


def progress(items: Iterable[T], description: str, output: TextIO | None = None) -> Iterator[T]:
    """Yields the items and shows a progress bar on standard error, if that is a terminal.

    There is no bar if `output`, a file that is written to meanwhile, is a terminal.
    """
    if output is not None and output.isatty():
        yield from items
        return
    total = len(items) if isinstance(items, Sized) else None
    with progress_bar(description, total) as advance:
        for item in items:
            yield item
            advance(1)


@functools.cache  # bars on one console can be nested
def _stderr_console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def check_output(output: Path | None) -> None:
    """Raises `InputError` if the folder of an output file does not exist."""
    if output is None:
        return
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; create it first")
    if output.is_dir():
        raise InputError(f"--output {output} is a folder; expected the name of a file")


@contextlib.contextmanager
def open_output(output: Path | None) -> Iterator[TextIO]:
    """Opens an output file, which appears under its name only when it is complete.

    None is standard output, as UTF-8. Raises `InputError` if the folder does not exist, or the file
    cannot be written, for example because the disk is full.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # the same bytes as a file, in any locale
        yield sys.stdout
        return
    check_output(output)
    # A device or pipe is written to; a file renamed to its name would replace it.
    is_file = not output.exists() or output.is_file()
    written = output.with_name(f".{output.name}.part") if is_file else output
    try:
        with written.open("w", encoding="utf-8") as file:
            yield file
        if is_file:
            written.replace(output)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename not in (None, str(written)):
            raise  # of another file
        error.filename = error.filename2 = None
        raise InputError(f"--output {output}: {os_error_sentence(error)}") from error
    finally:
        if is_file:
            written.unlink(missing_ok=True)
