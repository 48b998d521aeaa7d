"""A file that keeps what could not be sent, line by line, through any kind of death."""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InputError
from pipeline.tracking.records import Record, from_line, to_line


class Journal:
    """Records on disk, in order; the file is there only while it holds some.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Record]:
        """Reads all records; a torn last line, which no `append` had returned for, is cut off.

        Raises:
            InputError: A line is damaged.
        """
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
                    f"{self.path} line {number} is damaged, where a record of what could not be "
                    "sent to the tracking store was expected; remove that line and try again"
                ) from error
        return records

    def append(self, records: Iterable[Record]) -> None:
        """Adds records, all or none, and returns when they are on the disk."""
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
        """Forgets everything."""
        self.path.unlink(missing_ok=True)
