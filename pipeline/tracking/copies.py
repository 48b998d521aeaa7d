"""Copies of files that wait to be sent, in `unsent/` below the folder of a run.

The only module of `pipeline` that removes folders. A journal may come from someone else, so a path
in it is never followed outside of `unsent/`.
"""

import shutil
import tempfile
from pathlib import Path, PurePosixPath

from pipeline.errors import InputError

UNSENT = "unsent"


def make_copy(folder: Path, file: Path) -> str:
    """Copies a file into a folder of its own and returns the path relative to the run folder.

    Nothing is left if the file cannot be copied, for example because the disk is full.
    """
    unsent = folder / UNSENT
    unsent.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(dir=unsent)) / file.name
    try:
        shutil.copyfile(file, copy)
    except OSError:
        remove_copy(copy.parent)
        raise
    return copy.relative_to(folder).as_posix()


def copy_in(folder: Path, path: str) -> Path:
    """Returns the file that a record names.

    Raises:
        ValueError: If the path is not that of a copy, or a symbolic link leads elsewhere.
    """
    parts = PurePosixPath(path).parts
    if len(parts) > 3 and parts[0] == "/":
        parts = parts[-3:]  # older journals hold the path at which the folder was then
    if len(parts) != 3 or parts[0] != UNSENT or ".." in parts or "\0" in path:
        raise ValueError(f"{path[:200]!r} is not a file in {UNSENT}/ of the run's folder")
    file = folder.joinpath(*parts)
    if any(each.is_symlink() for each in (file, file.parent, file.parent.parent)):
        raise ValueError(f"{path[:200]!r} is or is below a symbolic link")
    if file.exists() and not file.is_file():
        raise ValueError(f"{path[:200]!r} is not a file")
    return file


def remove_copy(own: Path) -> None:
    """Removes the folder of a copy; does nothing if it is missing."""
    if own.is_symlink() or not own.is_dir():
        own.unlink(missing_ok=True)
    else:
        shutil.rmtree(own)


def remove_others(folder: Path, waiting: set[Path]) -> None:
    """Removes the folders of copies that no record names, left by a killed process.

    Raises:
        InputError: If `unsent` is a symbolic link.
    """
    unsent = folder / UNSENT
    if unsent.is_symlink():
        raise InputError(
            f"{unsent} is a symbolic link, but a run's folder contains its own files only; remove "
            "the link and try again"
        )
    if unsent.is_dir():
        for own in set(unsent.iterdir()) - waiting:
            remove_copy(own)


def remove_all(folder: Path) -> None:
    """Removes `unsent/` when nothing waits."""
    remove_others(folder, set())
    if (folder / UNSENT).is_dir():
        (folder / UNSENT).rmdir()
