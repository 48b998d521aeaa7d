"""What writing and reading of the ARPA format share."""

import gzip
from pathlib import Path
from typing import Literal, TextIO, cast

BEGIN, END = "<s>", "</s>"
SPACE = "<space>"
"""Stands for the space, which is a token of texts of characters, and no word of this format."""
ZERO = -99.0
"""The logarithm to base 10 that stands for a probability of 0, by SRILM's convention."""


def open_text(path: Path, mode: Literal["r", "w"], is_compressed: bool) -> TextIO:
    """Opens a text whose lines end in a line feed and nothing else."""
    opened = gzip.open if is_compressed else open
    return cast(TextIO, opened(path, f"{mode}t", encoding="utf-8", newline="\n"))
