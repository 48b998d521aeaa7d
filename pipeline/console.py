"""Output of commands: results on standard output; notes, errors and progress on standard error."""

import contextlib
import functools
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias, TypeVar, cast

from pipeline.errors import InputError, os_error_sentence

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Justify: TypeAlias = Literal["left", "right"]
T = TypeVar("T")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_COLOR = re.compile(r"\x1b\[(?:0|2|1;3[1-6])m")
UNLIMITED = 10_000  # columns, so that no line is cut
_UPDATE_SECONDS = 0.1  # an update of the bar takes microseconds, a line of text less


def is_first_process() -> bool:
    """Returns True in rank 0 of a DDP, torchrun or srun job, and in a process without a job."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return all(rank == "0" for rank in ranks)


def printable(text: str) -> str:
    r"""Returns a text without characters that control a terminal, which are written as "\\x1b".

    Names and texts from a corpus, checkpoint or tracking store could otherwise clear the screen,
    hide lines or set the title of the window. Line ends and tabs are kept.

    Example:
        >>> printable("a\x1b[2Jb\n")
        'a\\x1b[2Jb\n'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_note(text: str) -> None:
    """Prints a note about the work on standard error, in the first process only."""
    if is_first_process():
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def print_error(text: str) -> None:
    """Prints an error on standard error, in any process."""
    sys.stderr.write(f"unroll: {printable(text)}\n")
    sys.stderr.flush()


def print_result(text: str) -> None:
    """Prints a result on standard output, in the first process only.

    A terminal gets `printable` text; files and pipes get the text as it is.
    """
    if is_first_process():
        sys.stdout.write((printable(text) if sys.stdout.isatty() else text) + "\n")
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
        table.add_column(printable(heading), justify=justify, no_wrap=heading not in wraps)
    for row in rows:
        table.add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in row))
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


class Terminal:
    """A terminal that gets `printable` text, and the colors of `pipeline.inference.annotation`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Writes text; returns the number of its characters."""
        colors = _COLOR.findall(text)
        parts = (printable(part) for part in _COLOR.split(text))
        pairs = zip(parts, [*colors, ""], strict=True)
        self._file.write("".join(part + color for part, color in pairs))
        return len(text)

    def flush(self) -> None:
        """Writes what is in the buffer."""
        self._file.flush()

    def isatty(self) -> bool:
        """Returns True."""
        return True


@contextlib.contextmanager
def open_output(output: Path | None) -> Iterator[TextIO]:
    """Opens an output file, which appears under its name only when it is complete.

    None is standard output, as UTF-8. Raises `InputError` if the folder does not exist, or the file
    cannot be written, for example because the disk is full.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # the same bytes as a file, in any locale
        yield cast(TextIO, Terminal(sys.stdout)) if sys.stdout.isatty() else sys.stdout
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
