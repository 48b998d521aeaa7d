"""A thread that sends records to the tracking store, so that training never waits for it."""

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence

from pipeline.tracking.journal import Journal
from pipeline.tracking.records import MAX_METRICS, Metric, Record

INTERVAL = 2.0  # seconds that metrics are collected before they are sent
BATCH = 500  # number of records that are sent without waiting
PATIENCE = 1.0  # seconds that `flush` waits for the store before it uses the journal
FIRST_DELAY, LAST_DELAY = 1.0, 30.0  # seconds between attempts while sending fails
LAST_CHANCES = 3  # attempts after the end of the run


class Writer:
    """Sends records in order in a thread, and keeps them in a journal while sending fails.

    `flush` and any failure write the unsent records to the journal, which is deleted when all its
    records are sent. Sending a record twice must be harmless: this happens if a response is lost,
    or if the process is killed between sending and deleting the journal.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Record]], None],
        journal: Journal,
        recovered: Sequence[Record],
        warn: Callable[[Exception], None],
    ) -> None:
        self._send = send
        self._journal = journal
        self._warn = warn
        self._pending = deque(recovered)
        if not recovered:
            journal.remove()
        # Numbers of records that were ever queued, written to the journal, and sent.
        self._given = self._secured = len(self._pending)
        self._sent = 0
        self._urgent = self._closing = self._failing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Record]) -> None:
        """Queues records; returns immediately. Raises `RuntimeError` if the writer is closed."""
        with self._changed:
            if self._closing:
                raise RuntimeError("cannot log to a finished run")
            self._pending.extend(records)
            self._given += len(records)
            self._changed.notify_all()

    @property
    def has_records(self) -> bool:
        """Whether there are unsent records."""
        return bool(self._pending)

    def flush(self) -> None:
        """Waits until every record is in the store or in the journal on disk."""
        with self._changed:
            target = self._given
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._sent >= target or self._failing, PATIENCE)
            if self._sent < target:
                self._secure()

    def close(self, patience: float | None = None) -> bool:
        """Sends the remaining records in a few attempts and ends the thread; may be called again.

        Waits at most `patience` seconds, if given. Returns whether all records are sent; if not,
        the rest is in the journal. Raises `OSError` if a record can neither be sent nor be written
        to the journal.
        """
        with contextlib.suppress(OSError):  # raised again below if it persists
            self.flush()  # a scheduler may kill the process before the attempts end
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(patience)
        with self._changed:
            self._secure()
            return not self._pending

    def _work(self) -> None:
        delay, chances = 0.0, LAST_CHANCES
        while batch := self._next_batch(delay):
            try:
                self._send(batch)
            except Exception as error:  # training continues whatever the error is
                self._failed(error)
                delay = min(max(2 * delay, FIRST_DELAY), LAST_DELAY)
                if self._closing:
                    delay, chances = FIRST_DELAY, chances - 1
                    if not chances:
                        return
            else:
                delay = 0.0
                self._succeeded(len(batch))

    def _next_batch(self, delay: float) -> list[Record]:
        """Waits for records to send; returns none only if the writer is closed and empty."""
        with self._changed:
            if delay and self._closing:
                self._changed.wait(delay)
            elif delay:
                self._changed.wait_for(lambda: self._closing, delay)
            else:
                self._changed.wait_for(lambda: self._pending or self._closing)
                self._changed.wait_for(self._is_due, INTERVAL)
            metrics = itertools.takewhile(lambda record: isinstance(record, Metric), self._pending)
            batch: list[Record] = list(itertools.islice(metrics, MAX_METRICS))
            return batch or list(itertools.islice(self._pending, 1))

    def _is_due(self) -> bool:
        return self._urgent or self._closing or len(self._pending) >= BATCH

    def _succeeded(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._pending.popleft()
            self._sent += count
            self._failing = False
            if not self._pending:
                self._urgent = False
            if 0 < self._secured <= self._sent:
                self._journal.remove()
                self._secured = 0
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        with self._changed:
            try:
                self._secure()
            except OSError as worse:  # reported here, and raised by `flush` in the training thread
                error = worse
            first, self._warn = self._warn, _ignore
            self._failing = True
            self._changed.notify_all()
        first(error)

    def _secure(self) -> None:
        """Writes unsent records to the journal; the caller holds the lock."""
        new = list(itertools.islice(self._pending, max(0, self._secured - self._sent), None))
        if new:
            self._journal.append(new)
            self._secured = self._given


def _ignore(error: Exception) -> None:
    """Replaces `warn` after the first error."""
