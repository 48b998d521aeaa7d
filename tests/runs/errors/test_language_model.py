"""Errors of users: one sentence on standard error, exit code 2, no traceback."""

import os

import pytest
import torch

from tasks.language_model import LanguageModel
from tests.configs import small_config, write_config
from tests.harness import command, error_of, only_run, unroll


def rejected(capsys, *arguments):
    """Runs a command that rejects its arguments and returns the only line of the error."""
    error = error_of(capsys, *arguments)
    (complaint,) = [line for line in error.splitlines() if line.startswith("unroll: ")]
    return complaint


def train(capsys, project, corpus, *flags):
    config = write_config(project, small_config(corpus))
    return rejected(capsys, "train", "--config", config, *flags)


def test_missing_corpus(capsys, project, corpus, monkeypatch):
    monkeypatch.delenv("UNROLL_DATA", raising=False)
    assert "unroll prepare ptb" in train(capsys, project, corpus, "--data.corpus=ptb")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"a good line\na b\xff\xfe c\n", "byte 15"),
        (b"x " * 600_000 + b"\n", "line 1"),
    ],
    ids=["empty", "not-utf-8", "long-line"],
)
def test_files(capsys, project, corpus, content, expected):
    (corpus / "valid.txt").write_bytes(content)
    text = train(capsys, project, corpus)
    assert "valid.txt" in text
    assert expected in text


def test_vocabulary_of_one_word(capsys, project, corpus):
    (corpus / "train.txt").write_text("\n" * 500)
    assert "train.txt" in train(capsys, project, corpus)


def test_a_list_of_one_item(capsys, project):
    (project / "names.txt").write_text("Anna\n")
    text = train(capsys, project, "names.txt")
    assert "the list names.txt has 1 distinct item; at least 3 are needed" in text


def test_a_pattern_that_no_file_matches(capsys, project, corpus):
    text = train(capsys, project, corpus, "--data.files.train=shard-*")
    assert f"--data.files.train: no file matches {corpus}/shard-*; expected the train" in text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--data.batch_size=100000"], "100000"),
        (["--data.bptt=100000"], "100000"),
        (["--model.encoder.bidirectional=true"], "needs a causal encoder"),
        (["--model.tie_weights=true"], "8"),
        (["--model.encodr.hidden_size=3"], "did you mean 'encoder'"),
        (["--model.encoder=LSTN"], "did you mean LSTM"),
        (["--trainer.max_epoch=3"], "max_epochs"),
        (["--model.encoder.num_layers=0"], "num_layers must be at least 1, got 0"),
        (["--model.encoder.num_layers=two"], "num_layers"),
        (["--checkpoint_every=0"], "checkpoint_every"),
        (["--trainer.gradient_clip_algorithm=nrm"], "nrm"),
        (["--precision=bf17"], "bf17"),
        (["--model.optimizer.lr=-1"], "Invalid learning rate: -1.0"),
        (["--model.optimizer.lr=fast"], "--model.optimizer.lr: Expected a float, got 'fast'"),
        (["--model.encoder=my.Decay"], "my"),
        (["--model=Tagger", "--model.encoder.input_size=8"], "has no lexicon or tags, which Tag"),
        (["--trainer.precision=bf16-true"], "float32"),
        (["--trainer.strategy=fsdp"], "--trainer.strategy=fsdp divides the weights among"),
        (["--trainer.strategy=deepspeed_stage_2"], "deepspeed_stage_2 divides the weights among"),
        (["--trainer.accelerator=mps"], "--trainer.accelerator=mps: Apple GPUs have no float64"),
        (["--precision=tf32", "--trainer.accelerator=cpu"], "precision tf32 needs a CUDA GPU"),
        (["stray"], "stray"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_flags(capsys, project, corpus, flags, expected):
    assert expected in train(capsys, project, corpus, *flags)
    assert not (project / "mlflow.db").exists()  # no run was opened


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "a verb is missing"),
        (["trian"], "train"),
        (["train"], "--config FILE is missing"),
        (["train", "--config", "no.yaml"], "no.yaml"),
        (["test"], "--run RUN or --checkpoint FILE"),
        (["test", "--checkpoint", "no.ckpt"], "there is no checkpoint file no.ckpt"),
        (["test", "--run", "x"], "no runs yet"),
        (["generate", "--run", "x", "--temperature", "-1"], "--temperature"),
        (["generate", "--run", "x", "--top-p", "0"], "--top-p"),
        (["generate", "--run", "x", "--num", "0"], "--num"),
        (["generate", "--run", "x", "--novel", "no.txt"], "--novel no.txt: there is no such file"),
        (["runs", "--limit", "-1"], "--limit"),
        (["generate", "--run", "x", "--prmpt", "a"], "--prmpt"),
        (["predict", "--run", "x", "--inptu=a"], "unknown flag --inptu; did you mean --input?"),
        (["prepare", "ptbb"], "ptb"),
        (["runs", "--experiment", "lm/none"], "no runs yet"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_verbs(capsys, project, arguments, expected):
    assert expected in rejected(capsys, *arguments)


def test_checkpoints(capsys, project, corpus):
    torn = project / "torn.ckpt"
    torn.write_bytes(os.urandom(3000))
    foreign = project / "foreign.ckpt"
    torch.save({"weights": torch.zeros(3)}, foreign)
    other = project / "other.ckpt"
    config = small_config(corpus)
    config["model"]["class_path"] = "tasks.tagging.Tagger"
    torch.save({"config": config, "state_dict": {}}, other)
    found = ((torn, "it is damaged"), (foreign, "not a checkpoint"), (other, "Tagger"))
    for path, expected in found:
        assert expected in rejected(capsys, "generate", "--checkpoint", path)


def test_a_half_written_checkpoint(capsys, project, corpus):
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    assert command("fit", "--config", config) == 0
    (last,) = (project / "outputs").glob("*/checkpoints/last.ckpt")
    last.write_bytes(last.read_bytes()[:-1000])
    assert "it is damaged" in rejected(capsys, "train", "--resume", last.parent.parent.name)


def test_an_operation_that_is_not_deterministic(capsys, project, corpus, monkeypatch):
    monkeypatch.setattr(LanguageModel, "training_step", not_deterministic)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    try:
        text = train(capsys, project, corpus, "--trainer.deterministic=true")
    finally:
        torch.use_deterministic_algorithms(False)
    assert "no deterministic implementation of put_ on this device" in text
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert only_run(project).info.status == "FAILED"


def not_deterministic(task, batch, batch_idx):
    return torch.zeros(2).put_(torch.tensor([0]), torch.ones(1)).sum()


def test_resume_refuses_other_settings(capsys, project, corpus):
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    assert command("fit", "--config", config) == 0
    (folder,) = (project / "outputs").iterdir()
    text = rejected(capsys, "train", "--resume", folder.name, "--model.optimizer.lr=1")
    assert "--model.optimizer.lr=1 cannot change" in text


def test_a_traceback_for_those_who_ask(project):
    done = unroll("--debug", "test", "--checkpoint", "no.ckpt")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
