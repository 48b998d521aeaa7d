"""A tracking store from someone else leads to no other folder, and gets no password."""

import base64
import contextlib
import http.server
import json
import sqlite3
import threading

import pytest
import torch

from pipeline.checkpoints.folder import RunFolder
from pipeline.errors import InputError
from pipeline.tracking.locations import check_location
from pipeline.tracking.own_files import refuse_links
from tests.harness import command, error_of
from tests.unit.pipeline.checkpoints.test_trust import checkpoint

SQLITE, SERVER = "sqlite:////data/mlflow.db", "http://ann:pw@lab:5000"
RUN = "0" * 32


@pytest.mark.parametrize(
    ("address", "store"),
    [
        (f"file:///data/mlruns/3/{RUN}/artifacts", SQLITE),
        (f"/data/ml runs/3/{RUN}/artifacts", SQLITE),
        (f"file:///data/ml%20runs/3/{RUN}/artifacts", SERVER),
        (f"./mlruns/0/{RUN}/artifacts", SQLITE),
        (f"s3://bucket/x/{RUN}/artifacts", SQLITE),
        (f"mlflow-artifacts:/3/{RUN}/artifacts", SERVER),
        (f"mlflow-artifacts://lab:5000/3/{RUN}/artifacts", SERVER),
        (f"http://lab:5000/api/2.0/mlflow-artifacts/artifacts/3/{RUN}/artifacts", SERVER),
        (f"https://store/x/{RUN}/artifacts", "https://store:443"),
        (f"http://known:81/x/{RUN}/artifacts", SQLITE),
    ],
)
def test_locations_as_mlflow_makes_them(monkeypatch, address, store):
    monkeypatch.setenv("UNROLL_ARTIFACT_HOSTS", "other:80, known:81")
    check_location(address, RUN, store)


@pytest.mark.parametrize(
    ("address", "store"),
    [
        ("file:///home/ann", SQLITE),
        ("/home/ann", SERVER),
        ("", SQLITE),
        (f"file:///home/ann/{RUN}/artifacts/../..", SQLITE),
        (f"file:///home/{RUN}/artifacts/%2e%2e/%2e%2e", SQLITE),
        (f"file:///home/ann/1{RUN}/artifacts", SQLITE),
        (f"runs:/{RUN}/artifacts", SQLITE),
        (f"models:/{RUN}/artifacts", SQLITE),
        (f"http://lab:5001/3/{RUN}/artifacts", SERVER),
        (f"http://lab:5000@evil/3/{RUN}/artifacts", SERVER),
        (f"https://lab:5000x/3/{RUN}/artifacts", SERVER),
        (f"mlflow-artifacts://evil/3/{RUN}/artifacts", SERVER),
        (f"http://lab:5000/3/{RUN}/artifacts", SQLITE),
    ],
)
def test_other_locations(address, store):
    with pytest.raises(InputError, match=r"^the tracking store says that"):
        check_location(address, RUN, store)


@pytest.mark.parametrize("name", ["../x", "/x", ".", "", "a/b", "a\0", "-x", "a\n", "é"])
def test_names_that_are_no_ids(name):
    with pytest.raises(InputError, match="which is no id"):
        RunFolder.of(name)


def test_pipes_in_the_folder_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_OUTPUTS", str(tmp_path))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "a.txt").write_text("a", encoding="utf-8")
    (folder / "b.txt").symlink_to(folder / "a.txt")
    refuse_links(folder)
    refuse_links(tmp_path / "missing")
    import os

    os.mkfifo(folder / "run.json")
    assert RunFolder(folder).name == ""  # waits for no writer
    with pytest.raises(InputError, match="is a pipe or device"):
        refuse_links(folder)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match="is a symbolic link"):
        refuse_links(tmp_path / "link")


@pytest.fixture
def model(store, project):
    """A registered model with an untrained checkpoint, as `unroll train --register` logs it."""
    from pipeline.inference.serving import description  # noqa: F401 (loads the tasks)
    from pipeline.tracking.models import send_model

    file = project / "best.ckpt"
    torch.save(checkpoint(), file)
    run = store.create_run(store.create_experiment("lm/a", (project / "mlruns" / "a").as_uri()))
    send_model(store, run.info.run_id, file, {"kind": "language model"}, [], "m")
    store.log_artifact(run.info.run_id, str(file), "checkpoints")
    store.set_terminated(run.info.run_id)
    file.unlink()
    return run.info


def change(*statements: str) -> None:
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("pragma foreign_keys = off")
        for statement in statements:
            database.execute(statement)
        database.commit()


GENERATE = ("generate", "--run=models:/m/1", "--num=1", "--length=1")


def test_an_honest_model_is_downloaded(model, project):
    assert command(*GENERATE) == 0
    assert len(list((project / "outputs" / model.run_id / "checkpoints").iterdir())) == 1


FIELDS = "experiment_id,name,artifact_location,creation_timestamp_ms,last_updated_timestamp_ms,"
FIELDS += "status,lifecycle_stage,model_type,source_run_id,status_message"
STORES = {
    "run id": ["update model_versions set run_id = '../../home'"],
    "model id": [
        f"insert into logged_models select '../../../../home/x',{FIELDS} from logged_models",
        "update model_versions set source = 'models:/../../../../home/x'",
    ],
    "source in a file": ["update model_versions set source = 'file:///etc'"],
    "source that is a version": ["update model_versions set source = 'models:/m/1'"],
    "folder": ["update logged_models set artifact_location = 'file:///etc'"],
    "path": ["update logged_models set artifact_location = '{folder}/mlruns/a/../../home'"],
    "other model": ["update logged_models set artifact_location = 'models:/m/1'"],
}


@pytest.mark.parametrize("way", STORES)
def test_a_model_of_a_foreign_store(model, project, capsys, way):
    change(*(text.format(folder=project) for text in STORES[way]))
    before = sorted(project.rglob("*"))
    error = error_of(capsys, *GENERATE)
    assert len(error.splitlines()) == 1
    assert [p for p in project.rglob("*") if p not in before and p.is_file()] == []
    assert not (project / "home").exists()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_artifact_that_is_no_file(model, project, capsys, kind):
    [file] = (project / "mlruns").rglob("artifacts/artifacts/best.ckpt")
    file.unlink()
    if kind == "folder":
        file.mkdir()
        (file / "x").write_text("x", encoding="utf-8")
    else:
        file.symlink_to("/etc/passwd")
    assert len(error_of(capsys, *GENERATE).splitlines()) == 1


def test_a_folder_of_the_run_that_is_a_link(model, project, capsys):
    (project / "home").mkdir()
    (project / "outputs" / model.run_id).mkdir(parents=True)
    (project / "outputs" / model.run_id / "checkpoints").symlink_to(project / "home")
    assert "is a symbolic link" in error_of(capsys, *GENERATE)
    assert list((project / "home").iterdir()) == []


class _Listener(http.server.BaseHTTPRequestHandler):
    heard: list = []  # noqa: RUF012

    def do_GET(self):
        self.heard.append((self.path, self.headers.get("Authorization")))
        self.send_response(404)
        self.end_headers()

    do_PUT = do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def listener():
    _Listener.heard.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/2.0/mlflow-artifacts/artifacts/x"
        server.shutdown()


def test_the_password_of_the_server_is_sent_to_no_other(
    model, project, capsys, monkeypatch, listener
):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "sesame")
    change(
        f"update logged_models set artifact_location = '{listener}'",
        f"update runs set artifact_uri = '{listener}'",
        f"update experiments set artifact_location = '{listener}'",
    )
    run = model.run_id
    config = project / "config.yaml"
    config.write_text("trainer: {max_epochs: 1, limit_train_batches: 1}\n", encoding="utf-8")
    train = ("train", "--config=lm/builtin-lstm", f"--config={config}", "--experiment=lm/a")
    for arguments in (GENERATE, ("generate", f"--run={run}"), ("train", f"--resume={run}"), train):
        error = error_of(capsys, *arguments)
        assert "which would get your files and the password of the tracking server" in error
    assert _Listener.heard == []
    # The same request with the server allowed, as proof that MLflow would have sent it.
    monkeypatch.setenv("UNROLL_ARTIFACT_HOSTS", listener.split("/")[2])
    error_of(capsys, *GENERATE)
    secret = base64.b64encode(b"ann:sesame").decode()
    assert _Listener.heard[0][1] == f"Basic {secret}"


RECORDS = [
    {"kind": "TextArtifact", "text": "x", "artifact_path": "../../home/.bashrc"},
    {"kind": "TextArtifact", "text": "x", "artifact_path": "/tmp/x"},
    {"kind": "TextArtifact", "text": 5, "artifact_path": "a"},
    {"kind": "FileArtifact", "path": "unsent/a/b", "folder": "../x"},
    {"kind": "FileArtifact", "path": 3, "folder": None},
    {"kind": "Metric", "key": "a", "value": None, "timestamp": 1, "step": 1},
    {"kind": "Metric", "key": "a", "value": 1.0, "timestamp": 1, "step": "x"},
    {"kind": "Metric", "key": "a\x1b[2J", "value": 1.0, "timestamp": 1, "step": 1},
    {"kind": "Params", "values": 3},
    {"kind": "Params", "values": {"a": 1}},
    {"kind": "Tags", "values": {"../a": "b"}},
    {"kind": "Model", "path": "x", "description": [], "metrics": [], "register": None},
    {"kind": "Model", "path": "x", "description": {}, "metrics": [3], "register": None},
    {"kind": "Dataset", "name": 1, "digest": "", "source": "", "context": "", "profile": ""},
    {"kind": "Status", "status": "x", "time": 1},
    {"kind": ["Status"], "status": "x", "time": 1},
]


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_a_record_that_the_store_would_refuse_for_ever(tmp_path, record):
    from pipeline.tracking.journal import Journal

    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: damaged record"):
        Journal(tmp_path / "a.jsonl").read()
