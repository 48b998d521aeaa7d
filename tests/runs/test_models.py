"""Logged models of real trainings answer raw text as the commands do, and are named `models:/`."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import mlflow
import pandas
import pytest
import requests

from tests.harness import command, environment, error_of, fit, wait_for

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


@pytest.mark.slow
def test_mlflow_serves_a_model(project, monkeypatch, tmp_path):
    trained("lm/builtin-lstm", tmp_path / "training", monkeypatch)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["models", "serve", "-m", "models:/m/1", "--env-manager", "local", "-p", str(port)]
    uri = f"sqlite:///{tmp_path}/training/mlflow.db"
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *arguments],
        env=environment(MLFLOW_TRACKING_URI=uri),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def is_up():
        assert server.poll() is None, server.stderr.read()
        try:
            return requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        wait_for(is_up, 60)
        body = {"inputs": ["the boys"], "params": {"verb": "generate", "length": 3}}
        found = requests.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=30)
        assert re.fullmatch(r"the boys( \S+){0,3}", found.json()["predictions"][0]["texts"][0])
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
