"""Reader of tables with a delimiter between columns, such as CSV and TSV."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from datamodules.files.lines import MAX_LINE_BYTES
from datamodules.files.records import Record
from pipeline.errors import InputError, shortened


class Layout(NamedTuple):
    """The format of a text file with columns.

    Attributes:
        delimiter: Character between columns. After a space, the last column extends to the end of
            the line, and quotation marks are ordinary characters.
        has_header: Whether the first row contains the names of the columns; otherwise these are
            "0", "1" and so on.
        is_quoted: Whether quotation marks enclose text with delimiters and line ends.
        num_columns: Number of columns that are needed, for a delimiter that is a space.
    """

    delimiter: str
    has_header: bool = True
    is_quoted: bool = True
    num_columns: int = 0


class Row(NamedTuple):
    """The fields of a row and the number of the line where it ends."""

    line: int
    fields: list[str]


def read_delimited(path: Path, lines: Iterator[str], layout: Layout) -> Iterator[Record]:
    """Yields the rows of a table; empty lines are skipped.

    Raises `InputError` if the table is empty, rows differ in their number of columns, column names
    are repeated or quotation marks are not balanced.

    Example:
        >>> rows = read_delimited(Path("a.txt"), iter(["5 very good"]), Layout(" ", False, True, 2))
        >>> [row.values for row in rows]
        [{'0': '5', '1': 'very good'}]
    """
    rows = _split(lines, layout) if layout.delimiter == " " else _quoted(path, lines, layout)
    first = next(rows, None)
    if first is None:
        what = "a first line with the column names" if layout.has_header else "a row"
        raise InputError(f"{path} is empty; {what} is expected")
    names = first.fields if layout.has_header else list(map(str, range(len(first.fields))))
    _check_names(path, names, layout)
    for row in rows if layout.has_header else chain([first], rows):
        where = f"the row that ends at line {row.line} of {path}"
        if len(row.fields) != len(names):
            raise InputError(
                f"{where} has {len(row.fields)} columns, but line {first.line} has {len(names)}; "
                + _advice(layout)
            )
        yield Record(where, dict(zip(names, row.fields, strict=True)))


def _advice(layout: Layout) -> str:
    if layout.delimiter == " ":
        return "fix the line, or set the delimiter with --data.source.delimiter"
    if layout.is_quoted:
        return f"quote text that contains {layout.delimiter!r}"
    return f"text that contains {layout.delimiter!r} needs quotation marks"


def _check_names(path: Path, names: Sequence[str], layout: Layout) -> None:
    others = [mark for mark in (";", "\t", ",", "|") if mark != layout.delimiter]
    if len(names) == 1 and (found := [mark for mark in others if mark in names[0]]):
        raise InputError(
            f"the columns of {path} are separated by {found[0]!r}, but {layout.delimiter!r} is "
            f"expected; add --data.source.delimiter='{found[0]}'"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{path} has several columns named {shortened(twice[0])!r}; rename all but one, or, if "
            "its first line is a row, add --data.source.header=false"
        )


def _split(lines: Iterator[str], layout: Layout) -> Iterator[Row]:
    limit, is_header = layout.num_columns - 1, layout.has_header
    for number, line in enumerate(lines, start=1):
        if line.strip():
            fields = line.rstrip("\r\n").split(" ", limit)
            limit, is_header = len(fields) - 1 if is_header else limit, False
            yield Row(number, fields)


def _quoted(path: Path, lines: Iterator[str], layout: Layout) -> Iterator[Row]:
    csv.field_size_limit(16 * MAX_LINE_BYTES)
    reader = csv.reader(
        lines,
        delimiter=layout.delimiter,
        quoting=csv.QUOTE_MINIMAL if layout.is_quoted else csv.QUOTE_NONE,
        strict=True,
    )
    end = 0  # last line of the previous row
    try:
        for fields in reader:
            end = reader.line_num
            if fields:
                yield Row(end, fields)
    except csv.Error as error:
        if "new-line character" in str(error):
            raise InputError(
                f"line {reader.line_num} of {path} has a carriage return without a line feed; "
                "convert the line ends, for example with `tr '\\r' '\\n'`"
            ) from error
        raise InputError(
            f"cannot read the row that begins at line {end + 1} of {path} ({error}); quoted text "
            "must end with a quotation mark, and quotation marks inside it must be doubled; if "
            "they are ordinary characters, add --data.source.quote=none"
        ) from error
