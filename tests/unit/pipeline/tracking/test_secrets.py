"""Secrets never appear in what is stored or printed."""

import pytest

from pipeline.errors import InputError
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.secrets import (
    redact,
    redact_address,
    redact_command,
    removed_keys,
    without_secrets,
)
from pipeline.tracking.store import open_store
from tests.harness import command, only_run

SECRET = "s3cr3t-pa55"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://ann:pw@example.org/a", "https://***@example.org/a"),
        ("https://ann:p@w@example.org/a", "https://***@example.org/a"),
        ("https://ann:p/w@example.org/a", "https://***@example.org/a"),
        ("https://ann:se%40cret@example.org", "https://***@example.org"),
        ("https://token-alone@example.org", "https://***@example.org"),
        ("mysql+pymysql://ann:pw@host:3306/runs", "mysql+pymysql://***@host:3306/runs"),
        ("http://a:b@c: no answer of http://d:e@f", "http://***@c: no answer of http://***@f"),
        ("http://host/?password=pw&page=2", "http://host/?password=***&page=2"),
        ("http://host/?page=2&token=a/b=", "http://host/?page=2&token=***"),
        ("http://host/?sig=abc#top", "http://host/?sig=***#top"),
        ("unknown flag --data.password=a,b", "unknown flag --data.password=***"),
        ('{"api_key": "a, b", "size": 8}', '{"api_key": "***", "size": 8}'),
        ("{init_args: {secret_key: ab}, size: 8}", "{init_args: {secret_key: ***}, size: 8}"),
        ("AWS_SECRET_ACCESS_KEY=abc/def", "AWS_SECRET_ACCESS_KEY=***"),
        ("of ghp_0123456789abcdefghijABCDEFGHIJ012345 and", "of *** and"),
        ("hf_0123456789abcdefghijABCDEFGHIJ", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_", "***"),
    ],
)
def test_texts(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/ann/mlflow.db",
        "https://example.org/mlflow?page=2",
        "ann@example.org",
        "--model.unk_token=<unk>",
        "num_tokens: 8",
        "tokenizer=words",
        "unexpected token: found ]",
        "pipeline.encoders.LSTM",
        "keys=3",
        "password: null",
    ],
)
def test_texts_without_secrets_are_unchanged(text):
    assert redact(text) == text


def test_address_with_spaces_in_its_password():
    assert redact_address("mssql://ann:a b'c\"d@host/runs") == "mssql://***@host/runs"


def test_commands():
    words = [
        "unroll",
        "train",
        "--data.token",
        "a b",
        "--c=http://u:p w@h",
        "--seed_everything",
        "1",
    ]
    words += ["--data.api_key=a b,c", "--token"]
    assert redact_command(words[:4]) == "unroll train --data.token '***'"
    assert redact_command(words[5:]) == "--seed_everything 1 '--data.api_key=***' --token"


def test_configurations():
    config = {
        "data": {
            "class_path": "corpora.Remote",
            "init_args": {
                "token": "abc",
                "password": 12345,
                "size": 8,
                "secret": None,
                "text": "x",
            },
        },
        "paths": ["http://ann:p w@host/a", {"auth_token": "abc"}],
    }
    assert without_secrets(config) == {
        "data": {
            "class_path": "corpora.Remote",
            "init_args": {
                "token": "***",
                "password": "***",
                "size": 8,
                "secret": None,
                "text": "x",
            },
        },
        "paths": ["http://***@host/a", {"auth_token": "***"}],
    }
    keys = ["data.init_args.token", "data.init_args.password", "paths", "paths.auth_token"]
    assert removed_keys(config) == keys


def test_values_of_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:pass%40word9@host")
    text = f"login with {SECRET} and pass%40word9 or pass@word9 failed"
    assert redact(text) == "login with *** and *** or *** failed"


@pytest.mark.parametrize(
    "address",
    [
        "http://ann:s3cr3t/pa55@127.0.0.1:9",
        "http://ann:9/s3cr3t@127.0.0.1:9",
        "http://ann:s3cr3t?pa55@127.0.0.1:9",
        "http://ann:s3cr3t#pa55@127.0.0.1:9",
        "http://ann:s3c@r3t/pa55@127.0.0.1:9",
        "postgresql://ann:s3cr3t@pa55@127.0.0.1/runs",
    ],
)
def test_address_that_needs_encoding(project, monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(InputError, match="not percent-encoded; write / as %2F") as caught:
        open_store()
    assert not any(part in str(caught.value) for part in ("s3c", "r3t", "pa55", "ann"))


def test_parameters_and_tags(store, start, project):
    tracker: RunTracker = start()
    tracker.log_params(
        {"data.api_key": SECRET, "data.url": f"http://ann:{SECRET}@host", "size": "8"}
    )
    tracker.set_tags({"note": f"?token={SECRET}"})
    tracker.log_dataset("corpus", "0f", f"http://ann:{SECRET}@host/a.txt", "train")
    tracker.finish("FINISHED")
    run = store.get_run(tracker.version)
    assert run.data.params["data.api_key"] == "***"
    assert run.data.params["data.url"] == "http://***@host"
    assert run.data.params["size"] == "8"
    assert run.data.tags["note"] == "?token=***"
    assert_nowhere(project)


def assert_nowhere(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_no_file_of_a_training_contains_a_secret(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"https://ann:{SECRET}@host")
    flags = ["--config=lm/builtin-lstm", "--trainer.max_steps=2", "--trainer.val_check_interval=2"]
    flags += [f"--run_name=of http://ann:{SECRET}@host/?token={SECRET}"]
    monkeypatch.setattr("sys.argv", ["unroll", "train", *flags])
    assert command("train", *flags) == 0
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err
    run = only_run(project)
    assert run.info.run_name == "of http://***@host/?token=***"
    assert "http://***@host/?token=***" in run.data.tags["mlflow.source.name"]
    assert run.data.params["run_name"] == "of http://***@host/?token=***"
    folder = project / "outputs" / run.info.run_id
    assert any(folder.rglob("*.ckpt"))
    assert "***@host/?token=***" in (folder / "config.yaml").read_text()
    assert_nowhere(project)


@pytest.mark.parametrize("more", [[], ["--debug"]])
def test_no_message_and_no_traceback_contains_a_secret(project, monkeypatch, capsys, more):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:{SECRET}@127.0.0.1:9/?token={SECRET}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert command(*more, "runs") == (1 if more else 2)
    printed = capsys.readouterr()
    assert "cannot use tracking store http://***@127.0.0.1:9/?token=***: " in printed.err
    assert SECRET not in printed.out + printed.err


def test_traceback_of_an_unexpected_error(project, monkeypatch, capsys):
    def fail(*given, **named):
        raise RuntimeError(f"no answer from http://ann:{SECRET}@host")

    monkeypatch.setenv("TMPDIR", str(project))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("pipeline.tracking.table.list_runs", fail)
    assert command("runs") == 1
    printed = capsys.readouterr().err
    assert "unexpected RuntimeError: no answer from http://***@host; the traceback is in" in printed
    assert_nowhere(project)


def test_a_column_called_token_is_no_secret():
    config = {"source": {"token": 0, "tag": -1, "columns": {"pos": 1}}}
    assert without_secrets(config) == config
    assert removed_keys(config) == []
    assert without_secrets({"token": "abc", "password": 12}) == {"token": "***", "password": "***"}
    text = "unroll train --data.source.token=0 --data.source.token 12 --api_token 0"
    assert redact_command(text.split()) == text.replace("--api_token 0", "--api_token '***'")
    message = "--data.source.token: Expected a int. Got value: x"
    assert redact(message) == message
    assert redact("--data.source.token=0") == "--data.source.token=0"
    assert redact("token=abcdef") == "token=***"


def test_the_current_folder_is_no_secret(monkeypatch):
    monkeypatch.setenv("PWD", "/home/ann/project")
    monkeypatch.setenv("DB_PWD", "/home/bob/secret")
    text = "--data.corpus=/home/ann/project/corpora --x=/home/bob/secret"
    assert redact(text) == "--data.corpus=/home/ann/project/corpora --x=***"
