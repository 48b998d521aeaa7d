"""Reads files with a token a line, what is known of it beside it, and blank lines in between."""

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from datamodules.files.lines import read_lines
from pipeline.errors import InputError
from pipeline.text.column_files import DOCSTART

Separator: TypeAlias = Literal["auto", "tab", "space"]

_CHARACTERS = {"tab": "\t", "space": " "}
_NAMES = {"\t": "TAB", " ": "one space"}


class Block(NamedTuple):
    """The lines of a sentence.

    Attributes:
        line: number of the first of them in the file, from 1.
        rows: the fields of each line.
    """

    line: int
    rows: list[list[str]]


class ColumnFile(NamedTuple):
    """What a column file holds.

    Attributes:
        path: the file.
        blocks: its sentences, at least one; all lines have as many fields.
        num_documents: lines that begin with `-DOCSTART-`.
    """

    path: Path
    blocks: list[Block]
    num_documents: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.blocks[0].rows[0])

    @property
    def num_tokens(self) -> int:
        """Number of tokens."""
        return sum(len(block.rows) for block in self.blocks)


def read_column_file(path: Path, separator: Separator = "auto") -> ColumnFile:
    """Reads a column file.

    Blank lines (with spaces, TABs or none) end a sentence, however many there are, as does the end
    of the file. Lines that begin with `-DOCSTART-` do so as well, and are left out.

    Args:
        path: the file, UTF-8, with or without a byte-order mark, lines ended by LF or CR LF.
        separator: what stands between columns, a TAB or exactly one space; "auto" takes the TAB
            where the first line has one. Other white space (U+00A0) is part of a token.

    Returns:
        What it holds.

    Raises:
        InputError: a line has another number of columns than the first, there is no sentence, or
            the file is not UTF-8.
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
            f"{path} holds no sentence; a line for each token and a blank line after each sentence"
            " are expected"
        )
    return ColumnFile(path, blocks, num_documents)


def _check_width(fields: list[str], first: Block, between: str, where: str) -> None:
    expected = len(first.rows[0])
    if len(fields) != expected:
        raise InputError(
            f"{where} has {len(fields)} columns with {_NAMES[between]} between them, {expected}"
            f" are expected, as in line {first.line}; mend the line (or choose what separates"
            " columns with --data.source.separator)"
        )
