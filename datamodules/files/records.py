"""Reader of files whose rows have named fields: JSON lines, JSON arrays, Parquet and Arrow."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from datamodules.files.lines import read_lines
from pipeline.errors import InputError, shortened

if TYPE_CHECKING:
    import pyarrow

_JSON = (".jsonl", ".json")
RECORD_SUFFIXES = (*_JSON, ".parquet")
"""Suffixes of files that `read_records` reads."""
_ARROW = "*.arrow"  # in a folder that `save_to_disk` of Hugging Face `datasets` wrote
_MAX_ARRAY_BYTES = 1 << 30
_NUM_ROWS = 1024  # of Parquet and Arrow, in memory at a time


class Record(NamedTuple):
    """A row of a table."""

    where: str  # for error messages, such as "line 3 of reviews.jsonl"
    values: Mapping[str, Any]  # field -> value


def has_records(path: Path) -> bool:
    """Returns whether `read_records` reads a file or folder."""
    if path.is_dir():
        return any(path.glob(_ARROW))
    return path.suffix.lower() in RECORD_SUFFIXES


def read_records(
    path: Path, encoding: str = "utf-8", flag: str = "--data.source.encoding"
) -> Iterator[Record]:
    """Yields the rows of a file, or of a folder that `datasets.Dataset.save_to_disk` wrote.

    A `.json` file contains an array of objects, or one object per line like `.jsonl`. Class numbers
    of Hugging Face `datasets` (`ClassLabel`) become the names of the classes, which Parquet and
    Arrow files contain. `flag` sets `encoding`, for error messages. Raises `InputError` if the file
    is damaged or a row is not an object.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.json")
        ...     _ = path.write_text('[{"text": "good", "label": 5}]')
        ...     [record.values for record in read_records(path)]
        [{'text': 'good', 'label': 5}]
    """
    if path.is_dir():
        return _arrow_rows(path, sorted(path.glob(_ARROW)), _arrow_batches)
    if path.suffix.lower() not in _JSON:
        return _arrow_rows(path, [path], _parquet_batches)
    if path.suffix.lower() == ".json" and _first_character(path) == b"[":
        return _array_items(path, encoding, flag)
    return _json_lines(path, encoding, flag)


def field_of(record: Record, name: str) -> object:
    """Returns a field of a record; `review.text` is the field `text` of the object `review`.

    Raises a `KeyError` if the record does not have it. A missing value (null or nan) is None.

    Example:
        >>> field_of(Record("line 1", {"review": {"text": "good"}}), "review.text")
        'good'
    """
    found: Any = record.values
    if name in found:
        found = found[name]
    else:
        for part in name.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise KeyError(name)
            found = found[part]
    return None if isinstance(found, float) and math.isnan(found) else found


def field_names(record: Record) -> str:
    """Returns the names of the fields of a record, those of objects as `review.text`."""
    names = []
    for name, value in record.values.items():
        inner = [f"{name}.{part}" for part in value] if isinstance(value, Mapping) else [name]
        names += inner or [name]
    return shortened(", ".join(map(repr, names)))


def _first_character(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _json_lines(path: Path, encoding: str, flag: str) -> Iterator[Record]:
    for number, line in enumerate(read_lines(path, encoding=encoding, flag=flag), start=1):
        if line.strip():
            yield _record(f"line {number} of {path}", _parsed(line, f"line {number} of {path}"))


def _array_items(path: Path, encoding: str, flag: str) -> Iterator[Record]:
    text = "".join(read_lines(path, _MAX_ARRAY_BYTES, encoding, flag=flag))
    items = _parsed(text, str(path))
    assert isinstance(items, list), "the text begins with a bracket"
    for number, item in enumerate(items, start=1):
        yield _record(f"item {number} of {path}", item)


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not valid JSON ({shortened(error)})") from error


def _record(where: str, values: object) -> Record:
    if not isinstance(values, dict):
        raise InputError(f'{where} is not a JSON object, such as {{"text": "..."}}')
    return Record(where, values)


def _arrow_rows(
    path: Path,
    files: Sequence[Path],
    batches: Callable[[Path], Iterator["pyarrow.RecordBatch"]],
) -> Iterator[Record]:
    import pyarrow  # here because it takes 0.2 s

    number = 0
    try:
        for file in files:
            for batch in batches(file):
                batch.validate(full=True)  # offsets of a damaged file would point anywhere
                names = _class_names(batch.schema.metadata or {})
                for row in batch.to_pylist():
                    number += 1
                    values = {key: _named(value, names.get(key)) for key, value in row.items()}
                    yield Record(f"row {number} of {path}", values)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot read row {number + 1} of {path} ({shortened(error)}); a complete Parquet file,"
            " or a folder that `save_to_disk` of the package datasets wrote, is expected"
        ) from error


def _parquet_batches(path: Path) -> Iterator["pyarrow.RecordBatch"]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, page_checksum_verification=True) as file:
        yield from file.iter_batches(_NUM_ROWS)


def _arrow_batches(path: Path) -> Iterator["pyarrow.RecordBatch"]:
    import pyarrow

    with pyarrow.OSFile(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
        yield from stream


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Returns the names of the classes of each field that contains class numbers."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        found = {name: _names_in(feature) for name, feature in features.items()}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return {}  # written by another program
    return {name: names for name, names in found.items() if names is not None}


def _names_in(feature: object) -> list[str] | None:
    if isinstance(feature, list) and feature:
        return _names_in(feature[0])
    if not isinstance(feature, Mapping):
        return None
    names = feature.get("names")
    if feature.get("_type") == "ClassLabel" and isinstance(names, list):
        return [str(name) for name in names]
    return _names_in(feature.get("feature"))


def _named(value: object, names: Sequence[str] | None) -> object:
    """Replaces class numbers by names; -1 is a missing label."""
    if names is None:
        return value
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    if not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
