"""The outbox: records waiting to be sent, artifacts separately from all others."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.tracking import copies, records
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Record
from pipeline.tracking.run import OpenRun
from pipeline.tracking.secrets import redact_address
from pipeline.tracking.store import reason
from pipeline.tracking.writer import Writer

# Seconds for uploading artifacts at the end of a run, before and after the status is sent: a long
# upload must not be cut off, nor keep the status from being sent before a scheduler's kill.
FIRST_WAIT, LAST_WAIT = 20.0, 600.0
STORE_WAIT = 300.0  # seconds for the last records; a connection that died may never end a request

_logger = logging.getLogger(__name__)


class Outbox:
    """Sends the records of a run in background threads, and warns if sending fails.

    Artifacts have their own thread and journal (`artifacts.jsonl`; all other records:
    `tracking.jsonl`), since the artifact store may fail separately, e.g. for lack of permission.
    """

    def __init__(self, run: OpenRun, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._artifact_journal, self._journal = _journals(folder)
        artifacts, rest = waiting(folder)
        copies.remove_others(folder, _own_folders(folder, artifacts))
        self._artifacts = self._writer(
            self._artifact_journal,
            artifacts,
            f"artifacts of run {run.run_id} cannot be stored (%s); training continues, and they "
            f"are kept in {self._artifact_journal.path}",
        )
        store = redact_address(run.client.tracking_uri)
        self._rest = self._writer(
            self._journal,
            [record for record in rest if _is_new(record, run.logged)],
            f"tracking store {store} does not respond (%s); training continues, and its "
            f"metrics are kept in {self._journal.path}",
        )

    def put(self, *new: Record) -> None:
        """Queues records; returns immediately. Raises `RuntimeError` if the outbox is closed."""
        for record in new:
            is_artifact = isinstance(
                record, records.TextArtifact | records.FileArtifact | records.Model
            )
            (self._artifacts if is_artifact else self._rest).put([record])

    def put_file(self, path: Path, folder: str | None) -> None:
        """Copies a file and queues it as an artifact in `folder`."""
        self.put(records.FileArtifact(copies.make_copy(self._folder, path), folder))

    def put_model(
        self,
        checkpoint: Path,
        description: Mapping[str, str],
        metrics: Sequence[records.Metric],
        register: str | None,
    ) -> None:
        """Copies a checkpoint and queues it as the model of the run."""
        copy = copies.make_copy(self._folder, checkpoint)
        fields = [dataclasses.asdict(metric) for metric in metrics]
        self.put(records.Model(copy, description, fields, register))

    def flush(self) -> None:
        """Waits until every record is in its store or in its journal on disk."""
        self._rest.flush()
        self._artifacts.flush()

    @property
    def has_artifacts(self) -> bool:
        """Whether there are unsent artifacts."""
        return self._artifacts.has_records

    def close(self, status: records.Status | None) -> None:
        """Sends the remaining records, artifacts first and the status last, for a limited time.

        Raises `OSError` if a record can neither be sent nor be written to the journal.
        """
        with contextlib.suppress(OSError):  # raised again below if it persists
            self._rest.flush()  # the process may be killed while it uploads artifacts
        try:
            is_stored = self._artifacts.close(FIRST_WAIT)
        finally:
            self._rest.put([status] if status else [])
            self._close_rest(status)
        if not is_stored and not self._artifacts.close(LAST_WAIT):
            _logger.warning(
                "artifacts of run %s could not be stored; they are in %s and will be sent when the "
                "run is resumed",
                self._run.run_id,
                self._artifact_journal.path,
            )
        else:
            copies.remove_all(self._folder)

    def _close_rest(self, status: records.Status | None) -> None:
        if not self._rest.close(STORE_WAIT):
            _logger.warning(
                "tracking store does not respond; the last records of run %s%s are in %s and will "
                "be sent when the run is resumed",
                self._run.run_id,
                f", with its status {status.status}," if status else "",
                self._journal.path,
            )

    def _writer(self, journal: Journal, recovered: list[Record], warning: str) -> Writer:
        run = self._run
        return Writer(
            lambda batch: records.send(run.client, run.run_id, batch, self._folder),
            journal,
            recovered,
            lambda error: _logger.warning(warning, reason(error)),
        )


def waiting(folder: Path) -> tuple[list[Record], list[Record]]:
    """Reads the records that wait in the folder of a run: artifacts, and all others.

    Raises:
        InputError: If a journal is damaged, or names a file outside of `unsent/` in the folder.
    """
    artifacts, rest = (journal.read() for journal in _journals(folder))
    _own_folders(folder, artifacts)
    return artifacts, rest


def _journals(folder: Path) -> tuple[Journal, Journal]:
    return Journal(folder / "artifacts.jsonl"), Journal(folder / "tracking.jsonl")


def _own_folders(folder: Path, artifacts: Iterable[Record]) -> set[Path]:
    """Returns the folders of the copies that wait."""
    files = [
        record for record in artifacts if isinstance(record, records.FileArtifact | records.Model)
    ]
    try:
        return {copies.copy_in(folder, record.path).parent for record in files}
    except ValueError as error:
        raise InputError(
            f"{folder / 'artifacts.jsonl'}: {error}, so it is neither sent nor removed; delete the "
            "line that names it and try again"
        ) from error


def _is_new(record: Record, logged: dict[str, set[int]]) -> bool:
    """Returns whether a recovered record must be sent; registers the steps of metrics."""
    if isinstance(record, records.Status):
        return False  # of the run before it was resumed
    if not isinstance(record, records.Metric):
        return True
    is_missing = record.step not in logged[record.key]
    logged[record.key].add(record.step)
    return is_missing
