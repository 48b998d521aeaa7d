"""The writer thread against a store that fails, hangs and comes back, one request at a time."""

import threading

import pytest

from pipeline.tracking import writer
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Metric, Params
from pipeline.tracking.writer import Writer
from tests.harness import wait_for


class Store:
    """Takes records while `is_up`; `admit` lets that many requests pass, then the next hangs."""

    def __init__(self):
        self.taken, self.num_requests, self.is_up, self.is_hanging = [], 0, True, False
        self._allowed = threading.Semaphore(10**6)
        self._lock = threading.Lock()

    def __call__(self, records):
        with self._lock:
            self.num_requests += 1
            if not self.is_up:
                raise ConnectionError("down")
            allowed = self._allowed
            self.is_hanging = not allowed.acquire(blocking=False)
        if self.is_hanging and not allowed.acquire(timeout=60):
            raise TimeoutError
        self.taken += records

    def admit(self, count):
        """Comes back, for some requests."""
        with self._lock:
            self._allowed = threading.Semaphore(count)
            self.is_up = True


@pytest.fixture
def quick(monkeypatch):
    for name, seconds in (("INTERVAL", 0.01), ("FIRST_DELAY", 0.01), ("LAST_DELAY", 0.02)):
        monkeypatch.setattr(writer, name, seconds)
    monkeypatch.setattr(writer, "PATIENCE", 0.3)


@pytest.fixture
def store(quick):
    return Store()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "tracking.jsonl")


@pytest.fixture
def make(store, journal):
    made = []

    def make(recovered=(), errors=None):
        warn = (lambda error: None) if errors is None else errors.append
        made.append(Writer(store, journal, recovered, warn))
        return made[-1]

    yield make
    store.admit(10**6)
    for one in made:
        one.close(5.0)


def params(*numbers):
    """Records that are sent one by one."""
    return [Params({"number": str(number)}) for number in numbers]


def test_the_journal_keeps_what_is_unsent_during_an_outage(store, journal, make):
    sender = make()
    sender.put(params(1, 2, 3, 4, 5))
    wait_for(lambda: len(store.taken) == 5)
    store.is_up = False
    sender.put(params(6, 7, 8))
    sender.flush()
    assert journal.read() == params(6, 7, 8)
    sender.flush()  # they are written once
    assert journal.read() == params(6, 7, 8)
    store.admit(1)
    wait_for(lambda: store.is_hanging)  # with 7
    assert store.taken == params(1, 2, 3, 4, 5, 6)
    assert params(7, 8)[0] in journal.read()
    assert params(7, 8)[1] in journal.read()
    store._allowed.release(10)
    wait_for(lambda: not journal.path.exists())
    assert store.taken == params(1, 2, 3, 4, 5, 6, 7, 8)


def test_later_records_join_the_journal_once(store, journal, make):
    sender = make()
    store.is_up = False
    for number in (1, 2, 3):
        sender.put(params(number))
        sender.flush()
        assert journal.read() == params(*range(1, number + 1))
    store.is_up = True
    wait_for(lambda: store.taken == params(1, 2, 3))
    assert sender.close()
    assert not journal.path.exists()


def test_recovered_records_are_sent_first_and_then_removed(store, journal, make):
    journal.append(params(1, 2))
    sender = make(recovered=params(1, 2))
    sender.put(params(3))
    assert sender.close()
    assert store.taken == params(1, 2, 3)
    assert not journal.path.exists()


def test_without_recovered_records_an_old_journal_is_removed(journal, make):
    journal.append(params(1))
    make()
    assert not journal.path.exists()


def test_an_outage_is_told_once_and_the_rest_is_kept(store, journal, make):
    errors = []
    sender = make(errors=errors)
    store.is_up = False
    sender.put(params(1))
    wait_for(lambda: store.num_requests > 2)
    sender.put(params(2))
    requests = store.num_requests
    assert not sender.close()
    assert store.num_requests - requests <= writer.LAST_CHANCES + 1
    assert [str(error) for error in errors] == ["down"]
    assert journal.read() == params(1, 2)
    with pytest.raises(RuntimeError, match=r"^cannot log to a finished run$"):
        sender.put(params(3))


def test_a_closing_writer_tries_three_times(store, make):
    store.is_up = False
    sender = make()
    assert sender.close()  # nothing to send
    assert store.num_requests == 0
    sender = make(recovered=params(1))
    wait_for(lambda: store.num_requests > 0)
    with sender._changed:
        before = store.num_requests
        sender._closing = True
        sender._changed.notify_all()
    sender._thread.join(30)
    assert not sender._thread.is_alive()
    assert before + 2 <= store.num_requests <= before + 3


def test_metrics_are_sent_together_and_others_alone(store, make, monkeypatch):
    monkeypatch.setattr(writer, "MAX_METRICS", 3)
    batches = []
    monkeypatch.setattr(Store, "__call__", lambda self, records: batches.append(list(records)))
    metrics = [Metric("a", 1.0, 0, step) for step in range(5)]
    sender = make(recovered=[*metrics[:4], *params(1, 2), metrics[4]])
    assert sender.close()
    assert batches == [metrics[:3], metrics[3:4], params(1), params(2), metrics[4:]]


def test_the_delay_between_attempts_doubles_up_to_a_limit(store, make, monkeypatch):
    delays, next_batch = [], Writer._next_batch
    monkeypatch.setattr(writer, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(writer, "LAST_DELAY", 0.05)
    store.is_up = False

    def recorded(self, delay):
        delays.append(delay)
        if len(delays) == 6:
            store.is_up = True
        return next_batch(self, delay)

    monkeypatch.setattr(Writer, "_next_batch", recorded)
    make(recovered=params(1, 2))
    wait_for(lambda: store.taken == params(1, 2))
    assert delays[:6] == [0, 0.01, 0.02, 0.04, 0.05, 0.05]
    wait_for(lambda: len(delays) >= 8)
    assert delays[6:8] == [0, 0] or delays[5:8] == [0.05, 0, 0]


def test_a_full_disk_is_told_at_the_end(store, journal, make, monkeypatch):
    def append(records):
        raise OSError(28, "No space left on device")

    errors = []
    sender = make(errors=errors)
    store.is_up = False
    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", append)
        sender.put(params(1))
        with pytest.raises(OSError, match="No space left"):
            sender.flush()
        assert [error.errno for error in errors] == [28]
        with pytest.raises(OSError, match="No space left"):
            sender.close()
