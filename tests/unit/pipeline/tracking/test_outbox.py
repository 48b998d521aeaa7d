"""Which recovered records are sent again when a run is resumed."""

from collections import defaultdict

from pipeline.tracking.outbox import _is_new
from pipeline.tracking.records import Metric, Params, Status


def test_recovered_records_that_the_store_has_are_dropped():
    logged = defaultdict(set, {"train/loss": {1, 2}})
    records = [
        Metric("train/loss", 1.0, 0, 2),
        Metric("train/loss", 1.0, 0, 3),
        Metric("train/loss", 1.0, 0, 3),  # written to the journal twice
        Metric("val/loss", 1.0, 0, 2),
        Params({"a": "1"}),
        Status("FAILED", 0),  # of the run before it was resumed
    ]
    assert [_is_new(record, logged) for record in records] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert logged == {"train/loss": {1, 2, 3}, "val/loss": {2}}
