"""Logged models of real trainings answer raw text as the commands do, and are named `models:/`."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import mlflow
import pandas
import pytest
import requests

from tests.harness import command, environment, error_of, execute, fit, wait_for

TEXTS = ["the boys who see the girl run", "This awful film is a great one !", ""]


def trained(config, folder, monkeypatch):
    flags = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--register=m")
    limits = ("--trainer.limit_val_batches=1",)
    return fit(folder, monkeypatch, "--config", config, *flags, *limits)


def rows_of(capsys, *arguments):
    capsys.readouterr()
    assert command(*arguments) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("config", "verb", "keys"),
    [
        ("tagging/builtin-lstm", "predict", ("text", "spans")),
        ("sentiment/builtin-bilstm", "predict", ("text", "label", "probabilities")),
        ("lm/builtin-lstm", "score", ("text", "log_prob", "num_tokens", "num_unknown")),
        ("lm/builtin-kn5", "score", ("text", "log_prob", "perplexity")),
    ],
)
def test_a_logged_model_answers_as_the_command(
    config, verb, keys, project, monkeypatch, capsys, tmp_path
):
    run = trained(config, tmp_path / "training", monkeypatch)
    text = tmp_path / "texts.txt"
    text.write_text("\n".join(TEXTS[:2]) + "\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/training/mlflow.db")
    capsys.readouterr()
    assert command("promote", "m") == 0
    assert capsys.readouterr().out == f"models:/m@champion is version 1 of run {run}\n"
    monkeypatch.setenv("UNROLL_OUTPUTS", str(tmp_path / "elsewhere"))  # as on another machine
    by_run = rows_of(capsys, verb, "--run", run, "--input", text, "--as", "jsonl")
    by_name = rows_of(capsys, verb, "--run", "models:/m@champion", "--input", text, "--as", "jsonl")
    assert by_run == by_name
    (logged,) = (tmp_path / "training").glob("mlruns/**/MLmodel")
    model = mlflow.pyfunc.load_model(str(logged.parent))
    served = model.predict(pandas.DataFrame({"text": TEXTS}))
    for answer, row in zip(served[:2], by_run, strict=True):
        for span in row.get("spans", ()):  # the command counts characters of the file
            span["start"] -= row["start"]
            span["end"] -= row["start"]
        assert {key: answer[key] for key in keys} == {key: row[key] for key in keys}
    assert len(served) == 3
    if verb == "score":
        capsys.readouterr()
        flags = ("--num", 2, "--length", 5, "--seed", 7)
        assert command("generate", "--run", "models:/m/1", "--prompt", "the boys", *flags) == 0
        printed = capsys.readouterr().out.splitlines()
        params = {"verb": "generate", "num": 2, "length": 5, "seed": 7}
        assert (
            model.predict(pandas.DataFrame({"text": ["the boys"]}), params)[0]["texts"] == printed
        )
    wrong = "score" if verb == "predict" else "predict"
    error = error_of(capsys, wrong, "--run", "models:/m/1", "--input", text)
    assert "but this command needs" in error


def test_a_deleted_run(project, capsys, store):
    run = store.create_run(store.create_experiment("lm/a")).info.run_id
    store.delete_run(run)
    error = error_of(capsys, "generate", "--run", run)
    assert error.startswith(f"unroll: run {run} was deleted; restore it with")


def test_a_bad_name_is_refused_before_training(project, capsys):
    error = error_of(capsys, "train", "--config", "lm/builtin-lstm", "--register", "a/b")
    assert "--register 'a/b' cannot be the name of a registered model" in error
    assert not (project / "outputs").exists()


def test_a_store_that_does_not_answer(project, monkeypatch, capsys):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begin = time.monotonic()
        for arguments in (("promote", "m"), ("predict", "--run", "models:/m/1")):
            error = error_of(capsys, *arguments)
            assert error.startswith("unroll: cannot use tracking store http://127.0.0.1")
    assert time.monotonic() - begin < 20


@contextlib.contextmanager
def served(folder):
    """Serves the model `m` of a folder as a person does, and yields the address for requests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["models", "serve", "-m", "models:/m/1", "--env-manager", "local", "-p", str(port)]
    log = folder / "serve.log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments],
            env=environment(MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db"),
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )

    def is_up():
        assert server.poll() is None, log.read_text()
        try:
            return requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        wait_for(is_up)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def asked(address, **body):
    """Sends a request with curl, as in `docs/runs.md`, and returns the answer."""
    header = ("-H", "Content-Type: application/json")
    done = execute(["curl", "-sS", "--noproxy", "*", address, *header, "-d", json.dumps(body)], 60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "verb"),
    [
        ("tagging/builtin-bilstm-crf", "predict"),
        ("sentiment/builtin-bilstm", "predict"),
        ("lm/builtin-lstm", "score"),
    ],
)
def test_a_served_model_answers_as_the_command(config, verb, project, monkeypatch, capsys):
    folder = project / "training"
    limits = ("--trainer.max_epochs=3", "--trainer.limit_val_batches=1")
    fit(folder, monkeypatch, "--config", config, "--register", "m", *limits)
    texts = [*TEXTS[:2], "The minister criticized the plan 😀 .", "the unheard-of boys"]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    arguments = ("--run", "models:/m@challenger", "--input", "texts.txt", "--as", "jsonl")
    rows = rows_of(capsys, verb, *arguments)
    for row in rows:
        for span in row.get("spans", ()):  # the command counts characters of the file
            span.update(start=span["start"] - row["start"], end=span["end"] - row["start"])
    with served(folder) as address:
        (one,) = asked(address, inputs=[texts[0]])["predictions"]
        answers = asked(address, inputs=texts)["predictions"]
        empty = asked(address, inputs=[""])["predictions"]
        wrong = asked(address, inputs=["a"], params={"verb": "sing"})
        table = {"columns": ["text"], "data": [[text] for text in texts]}
        assert asked(address, dataframe_split=table)["predictions"] == answers
        if verb == "score":
            params = {"verb": "generate", "num": 3, "length": 20, "seed": 7, "temperature": 0.8}
            (found,) = asked(address, inputs=["the boys"], params=params)["predictions"]
            flags = ("--num", 3, "--length", 20, "--seed", 7, "--temperature", 0.8)
            run = ("--run", "models:/m/1", "--prompt", "the boys")
            capsys.readouterr()
            assert command("generate", *run, *flags) == 0
            assert found["texts"] == capsys.readouterr().out.splitlines()
            assert "parameter verb must be score or generate, got 'sing'" in json.dumps(wrong)
    for answer, row in zip([*answers, one], [*rows, rows[0]], strict=True):
        assert {key: row[key] for key in answer} == answer
    assert len(empty) == 1
