"""Reader of labelled texts in tables: CSV, TSV, text, JSON and Parquet."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from datamodules.batching.splits import fill_splits
from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.delimited import Layout, read_delimited
from datamodules.files.hub import hub_folder, is_on_hub, short_name
from datamodules.files.lines import read_lines, refuse_damaged
from datamodules.files.paths import find_tagged_files
from datamodules.files.records import Record, field_names, field_of, has_records, read_records
from datamodules.files.shards import is_pattern, shards
from datamodules.sentiment.preprocessing import treebank_words
from pipeline.errors import InputError, parsed_number, shortened

_MAX_NUMBERS = 20  # labels that are numbers may have as many values without being questioned
_FEW_TEXTS = 5  # texts of each label, on average, below which whole numbers are questioned


class Table(LabelledSource):
    r"""Reads texts and labels from two columns of tables.

    The suffix of a file name determines its format: `.jsonl` and `.json` contain objects with
    fields, `.parquet` columns; a folder is one that `save_to_disk` of the package `datasets` wrote.
    All other files are text with a delimiter between columns, a comma in `.csv`. If there is no
    validation or test file, a stratified fraction of the training texts is held out.

    Args:
        train: Training file; a pattern such as `train-*.parquet` selects several files, and
            `hf://rotten_tomatoes` is a data set of the Hugging Face hub with all its splits.
        text: Name of the text column, its index from 0, or a path of JSON fields (`review.text`).
        label: Name, index or path of the label column.
        valid: Validation file.
        test: Test file.
        labels: All labels in order, for ordinal labels; by default those found, alphabetically.
        is_tokenised: Whether texts are already tokenized, with spaces between tokens.
        fraction: Fraction of the training texts to hold out for each missing file; 0 for
            cross-validation only.
        seed: Random seed of the held-out texts.
        encoding: Encoding of the files.
        delimiter: Column separator, such as ";"; by default a comma in .csv and a TAB in other
            files. With a space, the last column extends to the end of the line.
        header: Whether the first row of a file contains the column names.
        quote: "double" if quotation marks may enclose text, "none" if they are part of it.
        skip_unlabelled: Whether rows without a label are skipped and counted; otherwise they are an
            error.

    Raises:
        InputError: If `delimiter` is not a single character, or is a space and columns are counted
            from the end.

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
        text: int | str = "text",
        label: int | str = "label",
        valid: str | None = None,
        test: str | None = None,
        labels: list[str | int] | None = None,
        is_tokenised: bool = False,
        fraction: float = 0.1,
        seed: int = 1,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        header: bool = True,
        quote: Literal["double", "none"] = "double",
        skip_unlabelled: bool = False,
    ) -> None:
        if delimiter is not None and len(delimiter) != 1:
            raise InputError(f"delimiter is {delimiter!r}; a single character is expected")
        for name, column in (("text", text), ("label", label)):
            if delimiter == " " and isinstance(column, int) and column < 0:
                raise InputError(
                    f"{name} is {column}; with the delimiter ' ', columns are given by their index "
                    "from 0, since the last one extends to the end of the line"
                )
        self.name = Path(train).resolve().parent.name if is_pattern(train) else Path(train).stem
        if is_on_hub(train):
            self.name = short_name(train)
        self._files = {"train": train, "valid": valid, "test": test}
        self._delimiter, self._has_header, self._is_quoted = delimiter, header, quote == "double"
        self._text, self._label = text, label
        self._labels = None if labels is None else [str(one) for one in labels]
        self._is_tokenised, self._fraction, self._seed = is_tokenised, fraction, seed
        self._encoding, self._skip_unlabelled = encoding, skip_unlabelled

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        files = self._paths()
        splits, notes = {}, []
        for split, path in files.items():
            splits[split], skipped = self._read_all(path)
            notes += skipped
        splits = self._unified(splits, self._labels or ())
        labels = self._labels or sorted({text.label for text in splits["train"]})
        found = {text.label for text in splits["train"]}
        if strange := sorted(found - {*labels}):
            raise InputError(
                f"{files['train']} has the label {shortened(strange[0])!r}, which is not in "
                f"--data.source.labels ({', '.join(labels)}); add it there"
            )
        if self._labels is None:
            self._refuse_measurements(files["train"], splits["train"])
        splits, held_out = fill_splits(splits, self._fraction, self._seed, self.name, "file")
        return LabelledCorpus(
            splits=splits,
            files={split: files.get(split, files["train"]) for split in splits},
            labels=tuple(label for label in labels if label in found),
            is_ordinal=self._labels is not None,
            notes=tuple(notes),
            held_out=held_out,
        )

    def read_other(self, path: Path, labels: Sequence[str]) -> LabelledCorpus:
        """See `LabelledSource`; equal whole numbers are written as in `labels`."""
        texts, notes = self._read_all(path.expanduser())
        splits = self._unified({"test": texts}, labels)
        return LabelledCorpus(splits, {"test": path}, (*labels,), notes=tuple(notes))

    def _paths(self) -> dict[str, Path]:
        paths = {
            split: Path(file).expanduser()
            for split, file in self._files.items()
            if file is not None
        }
        train = str(self._files["train"])
        if is_on_hub(train):
            found = find_tagged_files(hub_folder(train))
            paths = found | paths | {"train": found["train"]}
        return paths

    def _unified(
        self, splits: Mapping[str, list[LabelledText]], known: Sequence[str]
    ) -> dict[str, list[LabelledText]]:
        """Writes equal whole numbers in one way, `5.0` as `5`, or as in the `known` labels."""
        found = {text.label for texts in splits.values() for text in texts}
        given = {_whole(label): label for label in known}
        numbers = [parsed_number(label) for label in found]
        are_whole = all(math.isnan(number) or number.is_integer() for number in numbers)
        names = {
            label: given.get(_whole(label), _whole(label) if are_whole else label)
            for label in found
        }
        return {
            split: [text._replace(label=names[text.label]) for text in texts]
            for split, texts in splits.items()
        }

    def _refuse_measurements(self, path: Path, texts: Sequence[LabelledText]) -> None:
        """Refuses many different numbers, which are scores or ids and not labels."""
        found = {text.label for text in texts}
        numbers = [parsed_number(label) for label in found]
        if len(found) <= _MAX_NUMBERS or any(math.isnan(number) for number in numbers):
            return
        are_whole = all(number.is_integer() for number in numbers)
        if not are_whole or len(texts) < _FEW_TEXTS * len(found):
            raise InputError(
                f"the column {self._label!r} of {path} contains {len(found):,} different numbers "
                f"(such as {shortened(min(found), limit=30)}): is it the column of labels? Select "
                "another one with --data.source.label, or list all labels in --data.source.labels"
            )

    def _read_all(self, path: Path) -> tuple[list[LabelledText], list[str]]:
        """Returns the texts of a file, or of all files that match a pattern, and notes."""
        texts: list[LabelledText] = []
        counts = {"text": 0, "label": 0}
        for file in self._existing(path):
            for text in self._texts(file):
                if text.tokens and text.label:
                    texts.append(text)
                else:
                    counts["label" if text.tokens else "text"] += 1
        if not texts:
            what = "text with a label" if counts["label"] else "text"
            raise InputError(f"{path} contains no {what} in the column {self._text!r}")
        notes = [
            f"{count:,} rows of {path.name} without {what} were skipped"
            for what, count in counts.items()
            if count
        ]
        return texts, notes

    def _existing(self, path: Path) -> list[Path]:
        if path.is_dir() and not has_records(path):
            raise InputError(
                f"{path} is a folder; a file is expected (for folders with one text per file, use "
                "--data.source=Folders --data.source.corpus=PATH)"
            )
        files = shards(path) if is_pattern(str(path)) else [path]
        if not files or not files[0].exists():
            raise InputError(f"no file {path}; a table with texts and labels is expected")
        return files

    def _texts(self, path: Path) -> Iterator[LabelledText]:
        """Yields each row, without tokens or with the label "" if these are missing."""
        names: tuple[str, str] | None = None
        for record in self._records(path):
            names = names or (self._name(record, self._text), self._name(record, self._label))
            text, label = (self._value(record, name) for name in names)
            refuse_damaged(text + label, record.where)
            if self._is_tokenised:  # not split(): tokens may contain U+00A0
                tokens = tuple(token for token in text.split(" ") if token)
            else:
                tokens = treebank_words(text)
            if tokens and not label and not self._skip_unlabelled:
                raise InputError(
                    f"{record.where} has no {names[1]}; add a label, or skip and count such rows "
                    "with --data.source.skip_unlabelled=true"
                )
            yield LabelledText(tokens, label)

    def _records(self, path: Path) -> Iterable[Record]:
        if has_records(path):
            return read_records(path, self._encoding)
        lines = read_lines(path, encoding=self._encoding, flag="--data.source.encoding")
        delimiter = self._delimiter or ("," if path.suffix.lower() == ".csv" else "\t")
        numbers = [column for column in (self._text, self._label) if isinstance(column, int)]
        layout = Layout(delimiter, self._has_header, self._is_quoted, 1 + max(numbers, default=-1))
        return read_delimited(path, lines, layout)

    def _name(self, record: Record, column: int | str) -> str:
        """Returns the name of a column, which may be given by its index."""
        names = list(record.values)
        if isinstance(column, str) or str(column) in names:
            return str(column)
        if not -len(names) <= column < len(names):
            raise InputError(
                f"{record.where} has {len(names)} columns, so {column} is not one of them; an index"
                f" from {-len(names)} to {len(names) - 1} is expected"
            )
        return names[column]

    def _value(self, record: Record, name: str) -> str:
        try:
            value = field_of(record, name)
        except KeyError:
            raise InputError(self._missing(record, name)) from None
        if isinstance(value, list | dict):
            raise InputError(
                f"{record.where}: {name!r} is a {type(value).__name__}; text is expected"
            )
        return "" if value is None else str(value).strip()

    def _missing(self, record: Record, name: str) -> str:
        """Returns the message about a column that does not exist."""
        message = f"{record.where} has no column {name!r}, only {field_names(record)}; select "
        if not self._has_header:
            return message + (
                "the columns by their index, for example --data.source.text=0 --data.source.label=1"
            )
        return message + (
            "the columns with --data.source.text and --data.source.label; if the first line of the "
            "file is a row and no header, add --data.source.header=false --data.source.text=0 "
            "--data.source.label=1 (the indices of the columns)"
        )


def _whole(label: str) -> str:
    """Returns a whole number such as `5.0` as `5`, and any other label unchanged."""
    return re.sub(r"(?<=\d)\.0+$", "", label) if parsed_number(label).is_integer() else label
