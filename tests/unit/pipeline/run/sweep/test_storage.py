"""Databases that cannot be used are refused at once, without their password."""

import threading

import pytest

pytest.importorskip("optuna")

from pipeline.errors import InputError
from pipeline.run.sweep.storage import check_storage


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("study.db", "is not an address of a database"),
        ("nosql://host/db", "cannot be used"),
        ("sqlite:///missing/study.db", "there is no folder missing"),
        ("sqlite:///text.db", "is not an SQLite database"),
        ("sqlite://", "is in memory only"),
        ("postgresql+pg8000://u:secret-word@127.0.0.1:1/db", "pg8000, which is not installed"),
    ],
)
def test_a_database_that_cannot_be_used(tmp_path, monkeypatch, address, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.db").write_text("this is a text file")
    with pytest.raises(InputError, match=message) as raised:
        check_storage(address)
    assert "secret-word" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


def test_a_database_that_does_not_answer_is_refused(tmp_path, monkeypatch):
    (tmp_path / "study.db").touch()
    monkeypatch.setattr("pipeline.run.sweep.storage._PATIENCE", 0.3)
    answer = threading.Event()
    monkeypatch.setattr("sqlalchemy.engine.Engine.connect", lambda self: answer.wait(60))
    with pytest.raises(InputError, match="no answer within"):  # before `connect` returns
        check_storage(f"sqlite:///{tmp_path}/study.db")
    answer.set()
