"""Reader of labelled texts in tables: CSV, TSV and JSON lines."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.batching.splits import fill_splits
from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.lines import MAX_LINE_BYTES, read_lines
from datamodules.sentiment.preprocessing import refuse_damaged, treebank_words
from pipeline.errors import InputError, shortened

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (*_DELIMITERS, ".jsonl")


class _Row(NamedTuple):
    line: int
    values: Mapping[str, Any]


class Table(LabelledSource):
    r"""Reads texts and labels from columns of CSV, TSV or JSON lines files.

    The suffix of a file name determines its format. The first row of a CSV or TSV file contains the
    column names. If there is no validation or test file, a stratified fraction of the training
    texts is held out.

    Args:
        train: Training file: .csv, .tsv or .jsonl.
        text: Name of the text column.
        label: Name of the label column.
        valid: Validation file.
        test: Test file.
        labels: All labels in order, for ordinal labels; by default those found, alphabetically.
        is_tokenised: Whether texts are already tokenized, with spaces between tokens.
        fraction: Fraction of the training texts to hold out for each missing file.
        seed: Random seed of the held-out texts.
        encoding: Encoding of the files.
        delimiter: Column separator, such as ";"; by default a comma in .csv and a TAB in .tsv.

    Raises:
        InputError: If `delimiter` is not a single character.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/reviews.csv"
        ...     _ = pathlib.Path(path).write_text("review,stars\nIt's good,5\nToo long,2\n")
        ...     corpus = Table(path, "review", "stars", valid=path, test=path).read()
        >>> corpus.splits["train"][0].tokens, corpus.labels
        (('It', "'s", 'good'), ('2', '5'))
    """

    def __init__(
        self,
        train: str,
        text: str = "text",
        label: str = "label",
        valid: str | None = None,
        test: str | None = None,
        labels: list[str | int] | None = None,
        is_tokenised: bool = False,
        fraction: float = 0.1,
        seed: int = 1,
        encoding: str = "utf-8",
        delimiter: str | None = None,
    ) -> None:
        if delimiter is not None and len(delimiter) != 1:
            raise InputError(f"delimiter is {delimiter!r}; a single character is expected")
        self.name = Path(train).stem
        self._files = {"train": train, "valid": valid, "test": test}
        self._delimiter = delimiter
        self._text, self._label = text, label
        self._labels = None if labels is None else [str(one) for one in labels]
        self._is_tokenised, self._fraction, self._seed = is_tokenised, fraction, seed
        self._encoding = encoding

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        files = {
            split: Path(file).expanduser()
            for split, file in self._files.items()
            if file is not None
        }
        splits, notes = {}, []
        for split, path in files.items():
            splits[split], num_empty = self._read(path)
            if num_empty:
                notes.append(f"{num_empty:,} rows of {path.name} without text were skipped")
        splits, held = fill_splits(splits, self._fraction, self._seed, self.name, "file")
        found = {text.label for text in splits["train"]}
        labels = self._labels or sorted(found)
        if strange := sorted(found - {*labels}):
            raise InputError(
                f"{files['train']} has the label {shortened(strange[0])!r}, which is not in "
                f"--data.source.labels ({', '.join(labels)}); add it there"
            )
        return LabelledCorpus(
            splits=splits,
            files={split: files.get(split, files["train"]) for split in splits},
            labels=tuple(label for label in labels if label in found),
            is_ordinal=self._labels is not None,
            notes=(*notes, *held),
        )

    def _read(self, path: Path) -> tuple[list[LabelledText], int]:
        if path.is_dir():
            raise InputError(
                f"{path} is a folder; a file is expected (for folders with one text per file, use "
                "--data.source=Folders --data.source.corpus=PATH)"
            )
        if not path.is_file():
            raise InputError(f"no file {path}; a {', '.join(_ENDINGS)} file is expected")
        texts, num_empty = [], 0
        for row in _rows(path, self._encoding, self._delimiter):
            text, label = (self._value(path, row, name) for name in (self._text, self._label))
            refuse_damaged(text + label, f"the row that ends at line {row.line} of {path}")
            tokens = treebank_words(text)
            if self._is_tokenised:  # not split(): tokens may contain U+00A0
                tokens = tuple(token for token in text.split(" ") if token)
            if not tokens:
                num_empty += 1
            elif not label:
                raise InputError(
                    f"the row that ends at line {row.line} of {path} has no {self._label}; every "
                    "text needs a label"
                )
            else:
                texts.append(LabelledText(tokens, label))
        if not texts:
            raise InputError(f"{path} contains no text in the column {self._text!r}")
        return texts, num_empty

    @staticmethod
    def _value(path: Path, row: _Row, name: str) -> str:
        if name not in row.values:
            known = shortened(", ".join(map(repr, row.values)))
            raise InputError(
                f"{path} has no column {name!r} (line {row.line}), only {known}; select "
                "the columns with --data.source.text and --data.source.label"
            )
        value = row.values[name]
        if isinstance(value, list | dict):
            raise InputError(
                f"line {row.line} of {path}: {name!r} is a {type(value).__name__}; text is expected"
            )
        return "" if value is None else str(value).strip()


def _rows(path: Path, encoding: str, delimiter: str | None) -> Iterator[_Row]:
    ending = path.suffix.lower()
    lines = read_lines(path, encoding=encoding, flag="--data.source.encoding")
    if ending == ".jsonl":
        return _json_rows(path, lines)
    if ending in _DELIMITERS:
        return _csv_rows(path, lines, delimiter or _DELIMITERS[ending])
    raise InputError(
        f"{path} has the suffix {ending or ''!r}; one of {', '.join(_ENDINGS)} is expected"
    )


def _json_rows(path: Path, lines: Iterator[str]) -> Iterator[_Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number} of {path} is not valid JSON ({error})") from error
        if not isinstance(values, dict):
            raise InputError(
                f'line {number} of {path} is not a JSON object, such as {{"text": "..."}}'
            )
        yield _Row(number, values)


def _refuse_other_delimiter(path: Path, names: list[str], delimiter: str) -> None:
    """Raises an error if the only column name contains another common delimiter."""
    others = [other for other in (";", "\t", ",", "|") if other != delimiter and other in names[0]]
    if len(names) == 1 and others:
        raise InputError(
            f"the columns of {path} are separated by {others[0]!r}, but {delimiter!r} is expected; "
            f"add --data.source.delimiter='{others[0]}'"
        )


def _csv_rows(path: Path, lines: Iterator[str], delimiter: str) -> Iterator[_Row]:
    csv.field_size_limit(16 * MAX_LINE_BYTES)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    end = 0  # last line of the previous row
    try:
        names = next(reader, None)
        if not names:
            raise InputError(f"{path} is empty; a first line with the column names is expected")
        _refuse_other_delimiter(path, names, delimiter)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(
                f"{path} has several columns named {shortened(twice[0])!r}; rename all but one"
            )
        end = reader.line_num
        for fields in reader:
            end = reader.line_num
            if not fields:
                continue
            if len(fields) != len(names):
                raise InputError(
                    f"the row that ends at line {reader.line_num} of {path} has {len(fields)} "
                    f"columns, but line 1 has {len(names)}; quote text that contains {delimiter!r}"
                )
            yield _Row(reader.line_num, dict(zip(names, fields, strict=True)))
    except csv.Error as error:
        if "new-line character" in str(error):
            raise InputError(
                f"line {reader.line_num} of {path} has a carriage return without a line feed; "
                "convert the line ends, for example with `tr '\\r' '\\n'`"
            ) from error
        raise InputError(
            f"cannot read the row that begins at line {end + 1} of {path} ({error}); quoted text "
            "must end with a quotation mark, and quotation marks inside it must be doubled"
        ) from error
