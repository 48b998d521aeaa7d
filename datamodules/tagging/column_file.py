"""Reader of files with one token and its annotations per line."""

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from datamodules.files.lines import read_lines
from pipeline.errors import InputError
from pipeline.text.tags import DOCSTART

Separator: TypeAlias = Literal["auto", "tab", "space"]

_CHARACTERS = {"tab": "\t", "space": " "}
_NAMES = {"\t": "TAB", " ": "one space"}


class Block(NamedTuple):
    """The lines of one sentence."""

    line: int  # number of its first line in the file, from 1
    rows: list[list[str]]  # fields of each line


class ColumnFile(NamedTuple):
    """Contents of a column file."""

    path: Path
    blocks: list[Block]  # at least one; all lines have the same number of fields
    num_documents: int  # number of lines that begin with `-DOCSTART-`

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.blocks[0].rows[0])

    @property
    def num_tokens(self) -> int:
        """Number of tokens."""
        return sum(len(block.rows) for block in self.blocks)


def read_column_file(path: Path, separator: Separator = "auto") -> ColumnFile:
    """Reads a column file: UTF-8 with or without byte-order mark, line ends LF or CR LF.

    Sentences end at blank lines (empty, or with spaces and TABs only), at lines that begin with
    `-DOCSTART-` (which are skipped) and at the end of the file. Columns are separated by a TAB or
    by exactly one space; "auto" selects the TAB if the first line contains one. Other white space
    (such as U+00A0) is part of a token.

    Raises `InputError` if a line has a different number of columns than the first one, or if the
    file contains no sentence or is not UTF-8.
    """
    blocks: list[Block] = []
    between = _CHARACTERS.get(separator)
    num_documents = 0
    is_open = False
    for number, ended in enumerate(read_lines(path), start=1):
        line = ended.rstrip("\r\n")
        is_document = line.startswith(DOCSTART)
        num_documents += is_document
        if is_document or not line.strip(" \t"):
            is_open = False
            continue
        between = between or ("\t" if "\t" in line else " ")
        fields = line.split(between)
        if not is_open:
            blocks.append(Block(number, []))
        blocks[-1].rows.append(fields)
        is_open = True
        _check_width(fields, blocks[0], between, f"line {number} of {path}")
    if not blocks:
        raise InputError(
            f"{path} contains no sentence; one token per line and a blank line after each sentence"
            " are expected"
        )
    return ColumnFile(path, blocks, num_documents)


def _check_width(fields: list[str], first: Block, between: str, where: str) -> None:
    expected = len(first.rows[0])
    if len(fields) != expected:
        raise InputError(
            f"{where} has {len(fields)} columns separated by {_NAMES[between]}, but line"
            f" {first.line} has {expected}; fix the line, or set the column separator with"
            " --data.source.separator"
        )
