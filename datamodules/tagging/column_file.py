"""Readers of the files of tagged corpora: columns, and tables with lists of tokens and tags."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.files.lines import read_lines, refuse_damaged
from datamodules.files.records import Record, field_names, field_of, has_records, read_records
from datamodules.files.shards import shards
from pipeline.errors import InputError
from pipeline.text.columns import ColumnParser, TextLine
from pipeline.text.layout import ColumnLayout

_DEFAULT = ColumnLayout()
_FLAG = "--data.source.encoding"
_TAG_FIELDS = ("tags", "ner_tags", "labels")  # names in data sets of the Hugging Face hub


class Block(NamedTuple):
    """A sentence; a row contains the token, the tag and the features of the layout."""

    source: str  # path of the file, or "row 3 of FILE" in a table of lists
    numbers: list[int]  # number of the line of each row; empty in a table of lists
    rows: list[tuple[str, ...]]

    def where(self, index: int) -> str:
        """Returns the place of a row, for error messages."""
        return f"line {self.numbers[index]} of {self.source}" if self.numbers else self.source


class ColumnFile(NamedTuple):
    """Contents of the file, or of the files, of a split."""

    path: Path
    blocks: list[Block]  # at least one
    width: int  # number of columns; 0 for lists of tokens and tags
    skipped: Counter[str]  # kind of lines that are not tokens -> their number

    @property
    def num_tokens(self) -> int:
        """Number of tokens."""
        return sum(len(block.rows) for block in self.blocks)


def read_column_file(
    path: Path, layout: ColumnLayout = _DEFAULT, encoding: str = "utf-8"
) -> ColumnFile:
    """Reads a column file as `ColumnParser` describes it, or a table of lists.

    Tables are files of `datamodules.files.records`, whose rows are sentences: the fields `token`
    (by default `tokens`), `tag` (by default `tags`, `ner_tags` or `labels`) and the features
    contain lists of equal length. A path may be a pattern of several files.

    Raises `InputError` if the file is malformed, contains no sentence or has another encoding.
    """
    files = [_read_one(file, layout, encoding) for file in shards(path)]
    blocks = [block for file in files for block in file.blocks]
    if not blocks:
        raise InputError(
            f"{path} contains no sentence; one token per line and a blank line after each sentence"
            " are expected"
        )
    skipped = sum((file.skipped for file in files), Counter[str]())
    return ColumnFile(path, blocks, files[0].width, skipped)


def _read_one(path: Path, layout: ColumnLayout, encoding: str) -> ColumnFile:
    if has_records(path):
        skipped = Counter[str]()
        blocks = list(_record_blocks(path, layout, encoding, skipped))
        return ColumnFile(path, blocks, 0, skipped)
    lines = enumerate(read_lines(path, encoding=encoding, flag=_FLAG), start=1)
    parser = ColumnParser(str(path), layout)
    blocks = [
        Block(str(path), [line.number for line in block.lines], block.rows)
        for block in parser.blocks(TextLine(i, 0, line.rstrip("\r\n")) for i, line in lines)
    ]
    return ColumnFile(path, blocks, parser.width, parser.skipped)


def _record_blocks(
    path: Path, layout: ColumnLayout, encoding: str, skipped: Counter[str]
) -> Iterator[Block]:
    names: list[str] = []
    for record in read_records(path, encoding, _FLAG):
        names = names or _fields(record, layout)
        columns = [_strings(record, name) for name in names]
        if len({*map(len, columns)}) > 1:
            lengths = ", ".join(
                f"{len(column)} {name}" for name, column in zip(names, columns, strict=True)
            )
            raise InputError(f"{record.where} has {lengths}; lists of equal length are expected")
        rows = list(zip(*columns, strict=True))
        if rows:
            yield Block(record.where, [], rows)
        else:
            skipped["rows without tokens"] += 1


def _fields(record: Record, layout: ColumnLayout) -> list[str]:
    """Returns the names of the fields with token, tag and features."""
    guess = next((name for name in _TAG_FIELDS if name in record.values), _TAG_FIELDS[0])
    columns = {
        "token": "tokens" if layout.token is None else layout.token,
        "tag": guess if layout.tag is None else layout.tag,
        **{f"features.{name}": column for name, column in layout.features.items()},
    }
    for what, column in columns.items():
        try:
            field_of(record, str(column))
        except KeyError:
            raise InputError(
                f"{record.where} has no field {column!r}, only {field_names(record)}; name the "
                f"field with --data.source.{what}"
            ) from None
    return [str(column) for column in columns.values()]


def _strings(record: Record, name: str) -> list[str]:
    try:
        values = field_of(record, name)
    except KeyError:
        raise InputError(f"{record.where} has no field {name!r}, but earlier rows do") from None
    if values is None:
        return []
    if not isinstance(values, list):
        raise InputError(f"{record.where}: {name!r} is not a list, but one of strings is expected")
    for value in values:
        if not isinstance(value, str) or not value or not value.isprintable():
            _refuse(record, name, value)
    return values


def _refuse(record: Record, name: str, value: object) -> None:
    """Refuses values that are no strings, or that column files cannot contain."""
    if not isinstance(value, str):
        raise InputError(
            f"{record.where}: {name!r} contains {value!r}; strings are expected (class numbers need"
            " the names that Parquet files of Hugging Face `datasets` contain)"
        )
    refuse_damaged(value, record.where)
    if not value or any(mark in value for mark in "\t\r\n"):
        raise InputError(
            f"{record.where}: {name!r} contains {value!r}; strings that are not empty, without TAB "
            "and line ends, are expected"
        )
