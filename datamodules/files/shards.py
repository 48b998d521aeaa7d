"""Texts that consist of several files."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.files.lines import LARGE
from pipeline.cache import sha256_of
from pipeline.console import progress

_PATTERN = re.compile(r"[*?\[]")


def is_pattern(name: str) -> bool:
    """Returns whether a name contains `*`, `?` or `[`."""
    return _PATTERN.search(name) is not None


def shards(path: Path) -> list[Path]:
    """Returns the files that match a glob pattern with `*`, `?` or `[...]`, sorted by path.

    A path without a pattern is returned alone, even if it does not exist. So is an existing file
    whose name looks like a pattern.
    """
    if path.exists() or not is_pattern(str(path)):
        return [path]
    # An existing folder may have brackets in its name.
    root = next((folder for folder in path.parents if folder.is_dir()), Path())
    return sorted(file for file in root.glob(str(path.relative_to(root))) if file.is_file())


def digest_of(path: Path) -> str:
    """Returns the sha256 of a file, or of the sums of the files that match a pattern."""
    files = shards(path)
    if len(files) == 1:
        return sha256_of(files[0])
    sums = "".join(f"{sha256_of(file)}\n" for file in with_progress(files))
    return hashlib.sha256(sums.encode()).hexdigest()


def with_progress(files: list[Path]) -> Iterator[Path]:
    """Iterates over files, with a progress bar if they are large together."""
    is_large = len(files) > 1 and sum(file.stat().st_size for file in files) >= LARGE
    return progress(files, "files") if is_large else iter(files)
