"""Runs and tracking stores that cannot be used: one sentence, and no output."""

import contextlib
import http.server
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.configs import small_config, write_config
from tests.harness import all_runs, client, command, error_of, fit, only_run
from tests.runs.errors.test_environment import limited_files

STORES = {  # kind of store -> what is said of it
    "refused": "connection refused; check the address and that the server runs",
    "silent": "no answer within 0 seconds; check the address and that the server runs",
    "page": "no MLflow server answers there",
    "nothing": "no MLflow server answers there",
    "password": "needs a user name and a password; set MLFLOW_TRACKING_USERNAME and",
    "driver": "needs the Python package cymysql, which is not installed",
    "folder": "MLflow no longer supports folders; `mlflow migrate-filestore` moves runs",
    "scheme": "unknown kind of address; expected http://, https://, sqlite:///, postgresql://",
}
COMMANDS = {
    "runs": ["runs"],
    "diff": ["diff", "a", "b"],
    "report": ["report", "a", "b"],
    "resume": ["train", "--resume", "a"],
    "fork": ["train", "--resume", "a", "--fork"],
    "train": ["train", "--config", "lm/builtin-lstm", "--upload_last=true"],
    "seeds": ["train", "--config", "lm/builtin-lstm", "--seeds=2"],
    "crossvalidate": ["crossvalidate", "--config", "tagging/builtin-bilstm-crf"],
    "promote": ["promote", "a"],
    "registered": ["generate", "--run", "models:/a@champion"],
}


class Answer(http.server.BaseHTTPRequestHandler):
    code, body = 200, b"<html>welcome</html>"

    def do_GET(self):
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815 (the name that the server calls)

    def log_message(self, *given):
        pass


@contextlib.contextmanager
def serving(code):
    handler = type("Handler", (Answer,), {"code": code})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def address(project, monkeypatch):
    """Returns the address of a store that cannot be used."""
    with contextlib.ExitStack() as stack:

        def address(kind):
            codes = {"page": 200, "nothing": 404, "password": 401}
            if kind in codes:
                return stack.enter_context(serving(codes[kind]))
            socket_ = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = socket_.getsockname()[1]
            if kind == "refused":
                socket_.close()
            return {
                "driver": f"mysql+cymysql://user:secret@127.0.0.1:{port}/runs",
                "folder": str(project / "mlruns"),
                "scheme": "foo://bar",
            }.get(kind, f"http://127.0.0.1:{port}")

        yield address


@pytest.mark.parametrize("kind", STORES)
def test_stores(kind, address, project, monkeypatch, capsys):
    """Each command answers within ten seconds and writes nothing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address(kind))
    if kind == "silent":
        monkeypatch.setattr("pipeline.tracking.reach._SECONDS", 0.2)
    for name, arguments in COMMANDS.items():
        start = time.monotonic()
        error = error_of(capsys, *arguments)
        assert time.monotonic() - start < 10, name
        assert STORES[kind] in error, name
        assert error.count("\n") == 1, error
        assert "secret" not in error
    assert {path.name for path in project.iterdir()} <= {"cache"}


@pytest.fixture
def trained(project, corpus, monkeypatch):
    config = write_config(project, small_config(corpus, **{"trainer.max_steps": 2}))
    fit(project, monkeypatch, "--config", config)
    return project


def test_runs_that_cannot_be_continued_or_compared(trained, capsys):
    store, run = client(trained), only_run(trained)
    run_id, experiment = run.info.run_id, run.info.experiment_id
    busy = store.create_run(experiment, run_name="busy")
    gone = store.create_run(experiment, run_name="gone").info.run_id
    store.delete_run(gone)
    other = store.create_run(experiment, run_name="tagger")
    store.log_metric(other.info.run_id, "test/f1", 0.5)
    store.set_terminated(other.info.run_id)
    before = {path for path in trained.rglob("*") if path.name != "lock"}
    for arguments, expected in (
        (["train", "--resume", "gone"], "run gone was deleted; restore it with `mlflow runs rest"),
        (["train", "--resume", "gone", "--fork"], "run gone was deleted; restore it with `mlflow"),
        (["train", "--resume", "busy"], f"run {busy.info.run_id} is being trained, its last value"),
        (["train", "--resume", "busy", "--fork"], "is being trained, its last value is "),
        (["train", "--resume", "tagger"], "the tracking store has no last.ckpt of it (it has one"),
        (["train", "--resume", "tagger", "--fork"], "the tracking store has no last.ckpt of it"),
        (["train", "--resume", "tagger", "--upload_last=maybe"], "the tracking store has no last"),
        (
            ["train", "--resume", run_id, "--upload_last=maybe"],
            "--upload_last: expected true or false",
        ),
        (["diff", run_id, "gone"], "run gone was deleted; restore it with `mlflow runs restore "),
        (["diff", run_id, "busy"], "is RUNNING, so its scores are not final; wait until it ends"),
        (["diff", run_id, "tagger"], "the runs have no score in common"),
        (["report", run_id, "tagger"], "the runs have no score in common"),
        (["report", run_id, "--metric", "test/x"], "none of the 1 runs has a metric 'test/x'"),
        (["runs", "--columns", "name,test/x"], "none of the "),
        (["runs", "--sort", "test/x"], "has a metric, parameter or tag 'test/x'"),
        (["runs", "--experiment", "lm/non"], "no experiment 'lm/non'"),
        (["crossvalidate", "--resume", run_id], "no crossvalidation '"),
    ):
        error = error_of(capsys, *arguments)
        assert expected in error, arguments
        assert error.count("\n") == 1, error
    assert {path for path in trained.rglob("*") if path.name != "lock"} == before
    assert len(all_runs(trained)) == 3


def test_a_run_without_its_checkpoint(trained, capsys):
    run_id = only_run(trained).info.run_id
    shutil.rmtree(trained / "outputs" / run_id / "checkpoints")
    for more in ([], ["--fork"]):
        error = error_of(capsys, "train", "--resume", run_id, *more)
        assert f"run {run_id} has no checkpoint to continue from, and the tracking" in error
    assert [run.info.status for run in all_runs(trained)] == ["FINISHED"]


def test_a_full_disk(trained, capsys, tmp_path):
    """Reports, and copies of artifacts that wait to be sent."""
    run_id = only_run(trained).info.run_id
    client(trained).log_metric(run_id, "test/perplexity", 20.0)
    with limited_files(500):
        error = error_of(capsys, "report", run_id)
    assert "--output report.html: File too large; free space there" in error
    assert not list(trained.glob("*report*"))
    full = open("/dev/full", "w")  # noqa: SIM115
    with contextlib.redirect_stdout(full):
        assert command("runs") == 2
    with contextlib.suppress(OSError):  # it writes again
        full.close()
    assert "No space left on device; free space there" in capsys.readouterr().err


def test_a_full_disk_leaves_no_part_of_an_artifact(start, tmp_path):
    tracker = start()
    (tmp_path / "table.tsv").write_text("word\n" * 1000)
    with limited_files(1000), pytest.raises(OSError, match="File too large"):
        tracker.log_artifact(tmp_path / "table.tsv")
    assert not [path for path in Path(tracker.save_dir).rglob("*") if path.is_file()]
