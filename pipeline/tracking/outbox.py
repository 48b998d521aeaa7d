"""All that a run has to send, on two ways, so that neither store holds up what the other takes."""

import contextlib
import logging
import shutil
import tempfile
from pathlib import Path

from pipeline.tracking import records
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Record
from pipeline.tracking.run import OpenRun
from pipeline.tracking.store import reason, shown
from pipeline.tracking.writer import Writer

# Seconds that artifacts have once the run is over, before and after its status is sent: an upload
# that takes long must neither hide how the run ended from a scheduler's kill, nor be cut off.
FIRST_WAIT, LAST_WAIT = 20.0, 600.0

_logger = logging.getLogger(__name__)


class Outbox:
    """Sends records of a run, and warns when that fails and when it has failed until the end.

    Artifacts go to another place than all else, and may fail alone (a server that answers, with an
    artifact root that nobody may write to). So they have a thread and a journal of their own,
    `artifacts.jsonl` beside `tracking.jsonl`.

    Args:
        run: The run; the steps that the journal has of each metric are added to its `logged`.
        folder: The folder for the journals, and for copies of files.

    Raises:
        InputError: A journal is damaged.
    """

    def __init__(self, run: OpenRun, folder: Path) -> None:
        self._run = run
        self._unsent = folder / "unsent"
        self._artifact_journal = Journal(folder / "artifacts.jsonl")
        self._journal = Journal(folder / "tracking.jsonl")
        artifacts, rest = self._artifact_journal.read(), self._journal.read()
        waiting = {Path(r.path).parent for r in artifacts if isinstance(r, records.FileArtifact)}
        for copied in set(self._unsent.glob("*")) - waiting:
            shutil.rmtree(copied)  # for a process that was killed before it could note it
        self._artifacts = self._writer(
            self._artifact_journal,
            artifacts,
            f"artifacts of run {run.run_id} cannot be stored (%s); training goes on, and they wait "
            f"in {self._artifact_journal.path}",
        )
        self._rest = self._writer(
            self._journal,
            [record for record in rest if _is_news(record, run.logged)],
            f"the tracking store {shown(run.client.tracking_uri)} does not answer (%s); training "
            f"goes on, and what is logged waits in {self._journal.path}",
        )

    def put(self, *new: Record) -> None:
        """Takes records over, at once.

        Raises:
            RuntimeError: The outbox is closed.
        """
        for record in new:
            is_artifact = isinstance(record, records.TextArtifact | records.FileArtifact)
            (self._artifacts if is_artifact else self._rest).put([record])

    def put_file(self, path: Path, folder: str | None) -> None:
        """Takes over a copy of a file, for that folder among the artifacts.

        Raises:
            RuntimeError: The outbox is closed.
        """
        self._unsent.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(dir=self._unsent)) / path.name
        shutil.copyfile(path, copy)
        self.put(records.FileArtifact(str(copy), folder))

    def flush(self) -> None:
        """Returns when all that was given is in its store, or else in its journal on disk."""
        self._rest.flush()
        self._artifacts.flush()

    def close(self, status: records.Status) -> None:
        """Sends what is left, artifacts first and the status last, for a bounded time.

        Raises:
            OSError: Something is neither sent, nor can its journal be written.
        """
        with contextlib.suppress(OSError):  # which comes again below, unless the store answers
            self._rest.flush()  # a kill may come while artifacts are waited for
        try:
            is_stored = self._artifacts.close(FIRST_WAIT)
        finally:
            self._rest.put([status])
            self._close_rest(status)
        if not is_stored and not self._artifacts.close(LAST_WAIT):
            _logger.warning(
                "artifacts of run %s could not be stored until the end; they are in %s, and are "
                "sent when the run is resumed",
                self._run.run_id,
                self._artifact_journal.path,
            )
        elif self._unsent.exists():
            shutil.rmtree(self._unsent)

    def _close_rest(self, status: records.Status) -> None:
        if not self._rest.close():
            _logger.warning(
                "the tracking store has not answered until the end; the rest of run %s, and that "
                "it is %s, is in %s, and is sent when the run is resumed",
                self._run.run_id,
                status.status,
                self._journal.path,
            )

    def _writer(self, journal: Journal, recovered: list[Record], warning: str) -> Writer:
        run = self._run
        return Writer(
            lambda batch: records.send(run.client, run.run_id, batch),
            journal,
            recovered,
            lambda error: _logger.warning(warning, reason(error)),
        )


def _is_news(record: Record, logged: dict[str, set[int]]) -> bool:
    """Says whether a recovered record is to be sent; takes note of the step of a metric."""
    if isinstance(record, records.Status):
        return False  # how the run ended before it was resumed
    if not isinstance(record, records.Metric):
        return True
    is_new = record.step not in logged[record.key]
    logged[record.key].add(record.step)
    return is_new
