"""Errors of disks, folders, stores and the unexpected: one sentence, and no partial output."""

import gzip
import resource
import sqlite3
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from pipeline.checkpoints.folder import RunFolder
from pipeline.checkpoints.write import AtomicCheckpointIO
from pipeline.cli import runs
from pipeline.errors import InputError
from pipeline.ngrams.arpa_reader import read_arpa
from tests.configs import small_config, write_config
from tests.harness import all_runs, command, only_run, unroll
from tests.runs.errors.test_language_model import rejected

STEPS = ("--trainer.max_steps=2", "--trainer.accelerator=cpu")


@contextmanager
def limited_files(size: int):
    """Lets no file grow beyond a size in bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(3)}, path)
    with limited_files(50_000), pytest.raises(InputError, match="File too large; free space there"):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(100_000)}, path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True)["weights"].tolist() == [1, 1, 1]


def test_a_full_disk_in_training(capsys, project, corpus):
    config = write_config(project, small_config(corpus))
    with limited_files(2_000_000):
        text = rejected(
            capsys, "fit", "--config", config, *STEPS, "--model.encoder.hidden_size=300"
        )
    assert "last.ckpt cannot be written: File too large; free space there and train again" in text
    assert only_run(project).info.status == "FAILED"
    assert not list(project.rglob("*.part"))


def test_a_full_disk_below_output(capsys, project, corpus):
    config = write_config(project, small_config(corpus))
    assert command("fit", "--config", config, *STEPS) == 0
    run = only_run(project).info.run_id
    (project / "text.txt").write_text("the boys see\n" * 500)
    score = ("score", "--run", run, "--input", "text.txt", "--output")
    for verb in (score, ("predict", "--run", run, "--output")):
        with limited_files(1000):
            text = rejected(capsys, *verb, "out.tsv")
        assert "--output out.tsv: File too large; free space there" in text
        assert not list(project.glob("*out.tsv*"))
    assert "--output /dev/full: No space left on device" in rejected(capsys, *score, "/dev/full")
    assert Path("/dev/full").is_char_device()
    assert "--output . is a folder" in rejected(capsys, *score, ".")


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/nowhere"])
def test_outputs_that_cannot_be_written(capsys, project, corpus, monkeypatch, folder):
    (project / "file").write_text("")
    monkeypatch.setenv("UNROLL_OUTPUTS", folder)
    config = write_config(project, small_config(corpus))
    text = rejected(capsys, "fit", "--config", config, *STEPS)
    assert "cannot be written" in text
    assert "set UNROLL_OUTPUTS to a folder that can" in text
    assert not (project / "mlflow.db").exists()  # no run was opened


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "null", "5", '{"name": 3}', "[" * 20_000], ids=lambda x: x[:9]
)
def test_a_damaged_name_is_none(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    assert RunFolder(tmp_path).name == ""


@pytest.mark.parametrize("verb", ["fit", "runs", "generate"])
def test_a_damaged_store(capsys, project, corpus, empty_database, verb):
    whole = empty_database.read_bytes()
    (project / "mlflow.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect("mlflow.db").execute("SELECT * FROM runs")
    config = write_config(project, small_config(corpus))
    arguments = {"fit": ["--config", config, *STEPS], "runs": [], "generate": ["--run", "x"]}
    text = rejected(capsys, verb, *arguments[verb])
    assert "database disk image is malformed; check it, or set MLFLOW_TRACKING_URI" in text


@pytest.mark.parametrize(
    ("scheme", "package"),
    [("postgresql+asyncpg", "asyncpg"), ("mysql+cymysql", "cymysql"), ("mssql+pymssql", "pymssql")],
)
def test_a_database_without_its_driver(capsys, project, monkeypatch, scheme, package):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://user:secret@host/name")
    text = rejected(capsys, "runs")
    assert f"needs the Python package {package}, which is not installed" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--data=null"], "required: data"),
        (["--trainer.devices=[[[["], "trainer: `devices` selected with `CPUAccelerator` should be"),
        (["--trainer=\udcff"], "is not UTF-8"),
        (["--run_name=\udcff"], "is not UTF-8"),
        (
            [f"--data.batch_size={'9' * 5000}"],
            "--data.batch_size: expected a whole number, got '99",
        ),
        (
            ["--seed_everything=4294967296"],
            "--seed_everything must be from 0 to 4294967295, got 42",
        ),
        (["--model.encoder.hidden_size=9999999"], "the model cannot be built"),
        (["--model.encoder.hidden_size=" + "9" * 20], "the model cannot be built"),
        ([f"--data={'x' * 5000}"], "unknown class xxx"),
    ],
    ids=lambda value: value[0][:30] if isinstance(value, list) else None,
)
def test_flags(capsys, project, corpus, flags, expected):
    config = write_config(project, small_config(corpus))
    text = rejected(capsys, "fit", "--config", config, "--trainer.accelerator=cpu", *flags)
    assert expected in text
    assert len(text) < 600
    assert not (project / "mlflow.db").exists()  # no run was opened


def test_a_value_that_argparse_drops(capsys, project):
    text = rejected(capsys, "generate", "--run", "x", "--top-p=--")
    assert "flag --top-p has the value --" in text


def test_more_processes_than_columns(project, corpus):
    config = write_config(project, small_config(corpus))
    flags = ("--trainer.accelerator=cpu", "--trainer.devices=3", "--trainer.strategy=ddp")
    done = unroll("fit", "--config", str(config), "--data.batch_size=2", *flags)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("unroll: ")]
    assert "3 processes" in line
    assert "Traceback" not in done.stderr
    assert all_runs(project) == []


def test_a_broken_model_that_another_one_starts_from(capsys, project, corpus):
    (project / "broken.ckpt").write_bytes(b"PK\x03\x04 torn")
    config = write_config(project, small_config(corpus))
    members = "--model.members=[broken.ckpt]"
    text = rejected(capsys, "fit", "--config", config, "--model=MixtureLanguageModel", members)
    assert "broken.ckpt" in text
    tagging = ("fit", "--config", "tagging/builtin-bilstm-crf", "--data.source.num_train=200")
    text = rejected(capsys, *tagging, "--model.encoder_from=broken.ckpt")
    assert "encoder_from: checkpoint broken.ckpt" in text
    assert not (project / "mlflow.db").exists()  # no run was opened


def test_the_traceback_of_an_unexpected_error_is_in_a_file(capsys, project, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division by zero\nmore")

    monkeypatch.setattr(runs, "run", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert command("runs") == 1
    error = capsys.readouterr().err
    begin = "unroll: unexpected ZeroDivisionError: division by zero; the traceback is in "
    assert error.startswith(begin)
    assert len(error.splitlines()) == 1
    file = Path(error.removeprefix(begin).partition(";")[0])
    assert "in fail" in file.read_text()
    with limited_files(0):
        assert command("runs") == 1
    assert "`unroll --debug ...` shows the traceback" in capsys.readouterr().err


def test_damaged_arpa_files(tmp_path):
    text = "\\data\\\nngram 1=99999999999\n\n\\1-grams:\n-1\t</s>\n\n\\end\\\n"
    (tmp_path / "a.arpa").write_text(text)
    with pytest.raises(InputError, match=r"ends the 1-grams after 1; .data. declares 99999999999"):
        read_arpa(tmp_path / "a.arpa")
    (tmp_path / "b.arpa").write_text(text.replace("99999999999", "9" * 5000))
    with pytest.raises(InputError, match=r"line 2 of .*must be 'ngram 1='"):
        read_arpa(tmp_path / "b.arpa")
    (tmp_path / "c.arpa").write_text(text.replace("99999999999", "1").replace("-1\t", "-1_0\t"))
    with pytest.raises(InputError, match="has '-1_0'; expected the logarithm"):
        read_arpa(tmp_path / "c.arpa")
    packed = bytearray(gzip.compress(text.encode() * 50, mtime=0))
    for place in range(10, len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        (tmp_path / "d.arpa.gz").write_bytes(damaged)
        with pytest.raises(InputError):
            read_arpa(tmp_path / "d.arpa.gz")
