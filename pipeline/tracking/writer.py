"""The thread between a training and the store: training never waits, and nothing gets lost."""

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence

from pipeline.tracking.journal import Journal
from pipeline.tracking.records import MAX_METRICS, Metric, Record

INTERVAL = 2.0  # seconds that a metric may wait for company
BATCH = 500  # records that are sent without waiting
PATIENCE = 1.0  # seconds that `flush` gives a slow store before it uses the journal
FIRST_DELAY, LAST_DELAY = 1.0, 30.0  # seconds between attempts while the store is away
LAST_CHANCES = 3  # attempts once the run is over


class Writer:
    """Sends records in order from a thread of its own, and keeps them in a journal if it cannot.

    A record is in memory until it is sent. `flush` and any failure also put it into the journal,
    which is removed as soon as all it holds is sent. Sending a record twice must do no harm: that
    happens when an answer is lost, or after a death between sending and removing the journal.

    Args:
        send: Sends one record or several metrics; raises if that fails in any way.
        journal: Where records wait.
        recovered: What is in the journal already, and is sent first.
        warn: Called once, with the first failure, in the writer's thread.
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
        # How many records were ever given, sent, and given or found on disk.
        self._given = self._secured = len(self._pending)
        self._sent = 0
        self._urgent = self._closing = self._failing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Record]) -> None:
        """Takes records over, at once.

        Raises:
            RuntimeError: The writer is closed.
        """
        with self._changed:
            if self._closing:
                raise RuntimeError("nothing can be logged to a run that is finished")
            self._pending.extend(records)
            self._given += len(records)
            self._changed.notify_all()

    def flush(self) -> None:
        """Returns when all that was given is in the store, or else in the journal on disk."""
        with self._changed:
            target = self._given
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._sent >= target or self._failing, PATIENCE)
            if self._sent < target:
                self._secure()

    def close(self, patience: float | None = None) -> bool:
        """Sends what is left, trying a few times, and ends the thread; may be called again.

        Args:
            patience: Seconds after which an attempt that goes on is no longer waited for.

        Returns:
            Whether everything is sent; if not, the rest is in the journal.

        Raises:
            OSError: It is neither sent, nor can the journal be written.
        """
        with contextlib.suppress(OSError):  # which comes again below, unless the store answers
            self.flush()  # a scheduler's patience may be shorter than that of the attempts
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
            except Exception as error:  # whatever it is, training goes on and nothing is lost
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
        """Waits for something to send; nothing comes only when the writer is closed and empty."""
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
            except OSError as worse:  # told here, and raised by `flush` where training stops
                error = worse
            first, self._warn = self._warn, _ignore
            self._failing = True
            self._changed.notify_all()
        first(error)

    def _secure(self) -> None:
        """Writes to the journal what is neither sent nor there; the lock is held."""
        new = list(itertools.islice(self._pending, max(0, self._secured - self._sent), None))
        if new:
            self._journal.append(new)
            self._secured = self._given


def _ignore(error: Exception) -> None:
    """Takes the place of a warning that was given."""
