"""A journal: a file of records that could not be sent to the tracking store yet."""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InputError
from pipeline.tracking.records import Record, from_line, to_line


class Journal:
    """An append-only file of records, one JSON line each; it exists only while it has records."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Record]:
        """Reads all records, and cuts off an incomplete last line, left by a killed process.

        Raises:
            InputError: If a line is damaged, or the file is a symbolic link.
        """
        if self.path.is_symlink():
            raise InputError(
                f"{self.path} is a symbolic link, but a run's folder contains its own files only; "
                "remove the link and try again"
            )
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self.path, len(whole))
        records = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                records.append(from_line(line.decode()))
            except ValueError as error:
                raise InputError(
                    f"{self.path}, line {number}: damaged record, expected one JSON object written "
                    "by this program; delete the line and try again"
                ) from error
        return records

    def append(self, records: Iterable[Record]) -> None:
        """Appends records, all or none, and returns when they are on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            size = file.tell()
            try:
                file.write("".join(map(to_line, records)).encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, size)
                raise

    def remove(self) -> None:
        """Deletes the file."""
        self.path.unlink(missing_ok=True)
