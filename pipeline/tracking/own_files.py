"""Checks that ids and folders of runs from someone else lead to no other folder."""

import os
import re
import stat
from pathlib import Path

from pipeline.errors import InputError, shortened

_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)


def checked_id(name: str) -> str:
    """Returns the id of a run or model, which becomes the name of a file or folder.

    Raises `InputError` if it could lead to another folder, as "../x" does.
    """
    if not _ID.fullmatch(name):
        raise InputError(
            f"the tracking store names a run or model {shortened(ascii(name))}, which is no id; "
            "expected letters, digits, hyphens and underscores"
        )
    return name


def refuse_links(folder: Path) -> None:
    """Raises `InputError` for a file that would be read from, or written to, another place.

    These are symbolic links that lead out of the folder, which is itself none, and pipes and
    devices. A folder that does not exist is fine.
    """
    if folder.is_symlink():
        raise _linked(folder)
    inside = folder.resolve()
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) and not path.resolve().is_relative_to(inside):
                raise _linked(path)
            if not (stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise InputError(
                    f"{path} is a pipe or device; a run's folder can contain files only; remove it"
                )


def _linked(path: Path) -> InputError:
    return InputError(
        f"{path} is a symbolic link that leads out of the run's folder, which can contain its own "
        "files only; remove the link, or copy the file"
    )
