"""A text in several files: all that match a pattern, in the order of their names."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from datamodules.files.cache import sha256_of
from datamodules.files.lines import LARGE

_PATTERN = re.compile(r"[*?\[]")


def is_pattern(name: str) -> bool:
    """Whether a name has `*`, `?` or `[` in it."""
    return _PATTERN.search(name) is not None


def shards(path: Path) -> list[Path]:
    """Gives the files that a text consists of, in the order of their names.

    Args:
        path: a file, or a pattern with `*`, `?` or `[...]` in names of folders or files.

    Returns:
        The file alone, whether or not it exists, or all files that match the pattern.
    """
    if path.exists() or not is_pattern(str(path)):
        return [path]
    # Brackets in the name of a folder that there is are no pattern.
    root = next((folder for folder in path.parents if folder.is_dir()), Path())
    return sorted(file for file in root.glob(str(path.relative_to(root))) if file.is_file())


def digest_of(path: Path) -> str:
    """Gives the sha256 of a file, or of the sums of several files in their order.

    Args:
        path: as in `shards`.

    Raises:
        InputError: a file cannot be read.
    """
    files = shards(path)
    if len(files) == 1:
        return sha256_of(files[0])
    sums = "".join(f"{sha256_of(file)}\n" for file in with_progress(files))
    return hashlib.sha256(sums.encode()).hexdigest()


def with_progress(files: list[Path]) -> Iterator[Path]:
    """Shows which of several files is being read, where they are large together."""
    is_large = len(files) > 1 and sum(file.stat().st_size for file in files) >= LARGE
    return iter(tqdm(files, unit=" files", leave=False, disable=None if is_large else True))
