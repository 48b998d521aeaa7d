"""The journal on disk: order, torn lines, and writes that fail half-way."""

import os

import pytest

from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Metric, Params
from tests.examples import refuses

RECORDS = [Metric("train/loss", 0.5 * step, 1000 + step, step) for step in range(4)]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "outputs" / "run" / "tracking.jsonl")


def test_records_come_back_in_order(journal):
    assert journal.read() == []
    journal.append(RECORDS[:2])
    journal.append([*RECORDS[2:], Params({"a": "ü\n"})])
    assert journal.read() == [*RECORDS, Params({"a": "ü\n"})]
    journal.remove()
    assert not journal.path.exists()
    journal.remove()
    assert journal.read() == []


@pytest.mark.parametrize("cut", [1, 20])
def test_a_torn_last_line_is_cut_off(journal, cut):
    journal.append(RECORDS[:3])
    os.truncate(journal.path, journal.path.stat().st_size - cut)
    assert journal.read() == RECORDS[:2]
    journal.append(RECORDS[3:])
    assert journal.read() == [*RECORDS[:2], RECORDS[3]]


def test_a_write_that_fails_leaves_nothing(journal, monkeypatch):
    """The disk is full when the second record is written."""
    journal.append(RECORDS[:1])

    def fsync(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left"):
            journal.append(RECORDS[1:3])
    assert journal.read() == RECORDS[:1]
    journal.append(RECORDS[3:])
    assert journal.read() == [RECORDS[0], RECORDS[3]]


def test_a_damaged_line_is_named(journal):
    journal.append(RECORDS[:1])
    with journal.path.open("a") as file:
        file.write("{}\n")
    with refuses(
        f"{journal.path}, line 2: damaged record, expected one JSON object written by this "
        "program; delete the line and try again"
    ):
        journal.read()
