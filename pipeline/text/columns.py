"""Parser of files with one token and its annotations per line.

These are the files of the CoNLL shared tasks and of Universal Dependencies: CoNLL-U, and CoNLL-U
Plus, whose first line names its columns (https://universaldependencies.org/format.html).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal, NamedTuple

from pipeline.errors import InputError, shortened
from pipeline.text.layout import ColumnLayout
from pipeline.text.tags import DOCSTART

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""Names of the ten columns of CoNLL-U."""
_FIRST_ID = re.compile(r"1|1-\d+|0\.\d+")  # of a sentence in CoNLL-U
_RANGE, _EMPTY_NODE = re.compile(r"\d+-\d+"), re.compile(r"\d+\.\d+")
_GLOBAL_COLUMNS = re.compile(r"#\s*global\.columns\s*=(.*)")
_CHARACTERS = {"tab": "\t", "space": " "}
_NAMES = {"\t": "TAB", " ": "one space"}


class TextLine(NamedTuple):
    """A line without its line end, its number from 1, and its character offset in the file."""

    number: int
    start: int
    text: str


class ColumnBlock(NamedTuple):
    """A sentence: its lines, and their values.

    A row contains the token, the tag ("" if the file has none) and the features.
    """

    lines: list[TextLine]
    rows: list[tuple[str, ...]]


class _Form(NamedTuple):
    """What the first token line of a file determines."""

    separator: str
    width: int
    line: int
    names: tuple[str, ...]  # of the columns; () if they have none
    id_place: int | None  # index of the ids of CoNLL-U
    places: tuple[int | None, ...]  # of token, tag and features


class ColumnParser:
    """Splits the lines of a column file into sentences.

    Sentences end at blank lines (empty, or with spaces and TABs only), at lines that begin with
    `-DOCSTART-` (which are skipped) and at the end of the file. Other white space, such as U+00A0,
    is part of a value. In CoNLL-U, ranges such as `1-2` and empty nodes such as `8.1` are skipped.
    A file is CoNLL-U if its first lines contain `# global.columns`, or if it has ten columns and
    the first token has the id 1.

    Args:
        path: Name of the file, for error messages.
        layout: Its columns.
        tags: Whether the column of tags is "required", "optional" (if the file has fewer columns
            than its index) or not read ("none").
        advice: Second half of the message about a line with another number of columns.
        max_tokens: Maximum number of tokens of a sentence; unlimited if None.

    Attributes:
        num_documents, num_comments, num_ranges, num_empty_nodes: Numbers of skipped lines.
        width: Number of columns; 0 before the first token.
        has_tags: Whether the file has a column of tags.

    Example:
        >>> lines = [TextLine(1, 0, "# id"), TextLine(2, 5, "EU NNP B-ORG")]
        >>> parser = ColumnParser("a.txt", ColumnLayout(features={"pos": 1}))
        >>> [block.rows for block in parser.blocks(lines)], parser.num_comments
        ([[('EU', 'B-ORG', 'NNP')]], 1)
    """

    def __init__(
        self,
        path: str,
        layout: ColumnLayout,
        tags: Literal["required", "optional", "none"] = "required",
        advice: str = "set the column separator with --data.source.separator",
        max_tokens: int | None = None,
    ) -> None:
        self._path, self._layout, self._tags, self._advice = path, layout, tags, advice
        self._max_tokens = max_tokens
        self.num_documents = self.num_comments = self.num_ranges = self.num_empty_nodes = 0
        self.width, self.has_tags = 0, False
        self._found: _Form | None = None

    @property
    def skipped(self) -> Counter[str]:
        """Kind of lines that are not tokens -> their number."""
        return Counter(
            {
                "-DOCSTART- lines": self.num_documents,
                "comment lines": self.num_comments,
                "ranges (1-2) of CoNLL-U": self.num_ranges,
                "empty nodes (8.1) of CoNLL-U": self.num_empty_nodes,
            }
        )

    def blocks(self, lines: Iterable[TextLine]) -> Iterator[ColumnBlock]:
        """Yields the sentences.

        Raises `InputError` if a column does not exist, a value is empty, a line has another number
        of columns than the first token, or a sentence has too many tokens.
        """
        form, lines = self._form(iter(lines))
        if form is None:
            return
        self._found = form
        self.width, self.has_tags = form.width, form.places[1] is not None
        block = ColumnBlock([], [])
        for line in lines:
            if _is_end(line.text):
                self.num_documents += line.text.startswith(DOCSTART)
                if block.rows:
                    yield block
                block = ColumnBlock([], [])
            elif not block.rows and self._is_comment(line.text, form):
                self.num_comments += 1
            elif (row := self._row(line, form)) is not None:
                block.lines.append(line)
                block.rows.append(row)
                self._check_length(block)
        if block.rows:
            yield block

    def token_start(self, line: TextLine) -> int:
        """Returns the character offset in the file of the token in a line of a sentence."""
        assert self._found is not None, "a sentence has been read"
        before = line.text.split(self._found.separator)[: self._found.places[0]]
        return line.start + sum(len(field) + 1 for field in before)

    def _form(self, lines: Iterator[TextLine]) -> tuple[_Form | None, Iterator[TextLine]]:
        """Returns the form of the file, and all its lines."""
        read: list[TextLine] = []
        first, names = None, ()
        for line in lines:
            read.append(line)
            is_mark = line.text.startswith("#") and self._layout.comments != "none"
            if is_mark and (found := _GLOBAL_COLUMNS.fullmatch(line.text)):
                names = tuple(found[1].lower().split())
            if not is_mark and not _is_end(line.text):
                first = line
                break
        else:  # all tokens may be #
            first = next((line for line in read if not _is_end(line.text)), None)
        form = None if first is None else self._form_of(first, names)
        return form, chain(read, lines)

    def _form_of(self, line: TextLine, names: tuple[str, ...]) -> _Form:
        given = _CHARACTERS.get(self._layout.separator)
        separator = given or ("\t" if "\t" in line.text or names else " ")
        fields = line.text.split(separator)
        is_conllu = separator == "\t" and len(fields) == len(CONLLU)
        if not names and is_conllu and _FIRST_ID.fullmatch(fields[0]):
            names = CONLLU
        if names and len(names) != len(fields):
            raise InputError(
                f"line {line.number} of {self._path} has {len(fields)} columns, but the line "
                f"`# global.columns` names {len(names)}; fix the file"
            )
        id_place = names.index("id") if "id" in names else None
        where = f"line {line.number} of {self._path}"
        places = _Places(where, names, len(fields)).of(self._layout, self._tags)
        return _Form(separator, len(fields), line.number, names, id_place, places)

    def _is_comment(self, text: str, form: _Form) -> bool:
        if not text.startswith("#") or self._layout.comments == "none":
            return False
        is_certain = self._layout.comments == "skip" or bool(form.names)
        return is_certain or len(text.split(form.separator)) != form.width

    def _row(self, line: TextLine, form: _Form) -> tuple[str, ...] | None:
        """Returns the values of a line; None for a range or an empty node."""
        fields = line.text.split(form.separator)
        if len(fields) != form.width:
            raise InputError(
                f"line {line.number} of {self._path} has {len(fields)} columns separated by"
                f" {_NAMES[form.separator]}, but line {form.line} has {form.width}; fix the line,"
                f" or {self._advice}"
            )
        if form.id_place is not None:
            if _RANGE.fullmatch(fields[form.id_place]):
                self.num_ranges += 1
                return None
            if _EMPTY_NODE.fullmatch(fields[form.id_place]):
                self.num_empty_nodes += 1
                return None
        row = tuple("" if place is None else fields[place] for place in form.places)
        for place, value in zip(form.places, row, strict=True):
            if place is not None and not value:
                raise InputError(
                    f"column {place} is empty in line {line.number} of {self._path}; a value is"
                    " expected (check for a doubled separator)"
                )
        return row

    def _check_length(self, block: ColumnBlock) -> None:
        if self._max_tokens is not None and len(block.rows) > self._max_tokens:
            raise InputError(
                f"line {block.lines[-1].number} of {self._path}: the sentence that begins in line "
                f"{block.lines[0].number} has more than {self._max_tokens:,} tokens; expected an "
                "empty line after each sentence"
            )


class _Places(NamedTuple):
    """Resolves columns to their indices in a file."""

    where: str
    names: tuple[str, ...]
    width: int

    def of(
        self, layout: ColumnLayout, tags: Literal["required", "optional", "none"]
    ) -> tuple[int | None, ...]:
        """Returns the indices of the columns of token, tag and features."""
        token = layout.token
        if token is None:
            token = "form" if "form" in self.names else 0
        tag = None if tags == "none" else self._tag(layout.tag, tags == "optional")
        features = (self._place(name, column) for name, column in layout.features.items())
        return (self._place("token", token), tag, *features)

    def _tag(self, column: int | str | None, is_optional: bool) -> int | None:
        if column is None:
            if self.names == CONLLU:
                raise InputError(
                    f"{self.where} is CoNLL-U, so the column of tags must be chosen; for example "
                    "--data.source.tag=upos --data.source.scheme=none"
                )
            column = -1
        if is_optional:
            if isinstance(column, str):
                has_tag = column.lower() in self.names
            else:
                has_tag = column < self.width
            if not has_tag:
                return None
        return self._place("tag", column)

    def _place(self, what: str, column: int | str) -> int:
        if isinstance(column, str):
            if column.lower() in self.names:
                return self.names.index(column.lower())
            known = (
                f"one of {', '.join(self.names)}"
                if self.names
                else (
                    f"an index from 0 to {self.width - 1}, because only CoNLL-U files name their "
                    "columns,"
                )
            )
            raise InputError(
                f"{self.where} has no column {shortened(column)!r} for {what}; {shortened(known)} "
                "is expected"
            )
        if not -self.width <= column < self.width:
            raise InputError(
                f"{self.where} has {self.width} columns, so {what}={column} is not a column; an"
                f" index from {-self.width} to {self.width - 1} is expected"
            )
        return column % self.width


def _is_end(text: str) -> bool:
    return not text.strip(" \t") or text.startswith(DOCSTART)
