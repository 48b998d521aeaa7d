"""Damaged flags and files through the command line: exit code 0, or 2 with one sentence.

`pytest -m slow tests/fuzz` tries 300 command lines instead of 25.
"""

import re
import shutil
from pathlib import Path
from random import Random

import pytest

from pipeline.errors import shortened
from tests.configs import small_config, write_config
from tests.fuzz.mutations import damaged
from tests.fuzz.test_readers import time_limit
from tests.harness import command

ONE_STEP = ("--trainer.max_steps=1", "--trainer.accelerator=cpu", "--trainer.devices=1")
VALUES = (
    "null", "true", "-1", "0", "1.5", "1e400", "nan", "", " ", "[]", "[[[[", "{}", "{a: 1}",
    "[1, 2]", "'", "\"", "!!python/name:os.system", "os.system", "builtins.exec",
    "no.such.Class", "GRU",
    "torch.optim.SGD", "9" * 25, "9" * 5000, "x" * 5000, "\n", "a\nb", "..", "/", "/dev/null",
    "\udcff", "${HOME}", "é", "%s", "*", "--", "=",
)  # fmt: skip
FLAGS = (
    "model", "model.encoder", "model.encoder.hidden_size", "model.encoder.num_layers",
    "model.encoder.dropout", "model.dropout", "model.optimizer", "model.optimizer.lr", "model.head",
    "model.lr_scheduler", "data", "data.corpus", "data.batch_size", "data.bptt", "data.unit",
    "data.files", "data.max_vocab_size", "data.min_count", "data.max_line_bytes", "trainer",
    "trainer.callbacks", "trainer.strategy", "trainer.precision", "trainer.accelerator",
    "trainer.gradient_clip_val", "trainer.val_check_interval", "trainer.limit_val_batches",
    "trainer.log_every_n_steps", "trainer.accumulate_grad_batches", "trainer.plugins",
    "trainer.profiler", "trainer.logger", "precision", "seed_everything", "experiment",
    "checkpoint_every", "cuda_graphs", "config", "resume", "nothing", "",
)  # fmt: skip
OPTIONS = {
    "generate": ("num", "length", "temperature", "top-k", "top-p", "seed", "prompt", "run"),
    "score": ("input", "format", "weight", "run", "checkpoint"),
    "predict": ("output", "input", "format", "as", "data.eval_bptt", "encoding"),
    "validate": ("data.corpus", "data.batch_size", "trainer.limit_val_batches", "dynamic"),
    "parameters": ("config", "run", "model.encoder.hidden_size"),
    "runs": ("limit", "experiment", "sort", "columns"),
    "export": ("output", "run"),
    "crossvalidate": ("folds", "jobs", "resume", "config"),
    "probe": ("per-range", "starts", "output", "config"),
    "gradients": ("lags", "rows", "split", "output"),
}  # fmt: skip


@pytest.fixture
def trained(project, corpus):
    """A project with a configuration, text and a trained run, whose folder it returns."""
    config = write_config(project, small_config(corpus))
    (project / "text.txt").write_text("the boys see\nthe dog sees\n")
    assert command("fit", "--config", config, *ONE_STEP, "--trainer.max_steps=4") == 0
    (folder,) = (project / "outputs").iterdir()
    return folder


def change_flag(random: Random, folder: Path) -> list[str]:
    value = random.choice(VALUES)
    if random.random() < 0.6:
        flag = random.choice(FLAGS)
        return ["fit", "--config=config.yaml", f"--{flag}={value}", *ONE_STEP]
    verb = random.choice(sorted(OPTIONS))
    source = ["--input=text.txt"] if verb == "score" else []
    named = [] if verb in ("runs", "crossvalidate", "probe") else [f"--run={folder.name}"]
    return [verb, *named, *source, f"--{random.choice(OPTIONS[verb])}={value}"]


def change_file(random: Random, folder: Path) -> list[str]:
    """Damages a file; the caller puts it back."""
    project, corpus = folder.parent.parent, folder.parent.parent / "corpora/small"
    fit = ["fit", "--config=config.yaml", *ONE_STEP]
    resume = ["fit", f"--resume={folder.name}", "--trainer.max_steps=5"]
    score = ["score", f"--run={folder.name}", "--input=text.txt", "--output=scores.tsv"]
    path, arguments = random.choice(
        (
            (project / "config.yaml", fit),
            (corpus / "train.txt", fit),
            (corpus / "valid.txt", fit),
            (folder / "config.yaml", resume),
            (folder / "run.json", resume),
            (project / "text.txt", score),
            (project / "text.txt", [*score, "--nbest"]),
        )
    )
    path.write_bytes(damaged(path.read_bytes(), random))
    return arguments


def check_answer(arguments: list[str], capfd) -> int:
    """Returns the exit code; fails if it is neither 0 nor 2 with one sentence."""
    capfd.readouterr()
    try:
        with time_limit(seconds=60):
            code = command(*arguments)
    except SystemExit as end:
        code = end.code
    error = capfd.readouterr().err
    said = [line for line in error.splitlines() if line.startswith("unroll: ")]
    assert code in (0, 2), error
    assert "Traceback" not in error
    if code == 2:
        assert len(said) == 1, error
        assert error.rstrip("\n").splitlines()[-1] == said[0], error
        assert len(said[0]) < 1500, said[0]
        assert not re.search(r"[^\s/]{260}", said[0]), said[0]
    return code


def fuzz(count: int, trained: Path, capfd) -> dict[int, int]:
    """Returns how many command lines ended with each exit code."""
    project, codes = trained.parent.parent, {0: 0, 2: 0}
    kept = project.with_name(project.name + "-kept")
    shutil.copytree(project, kept)
    failures = []
    for seed in range(count):
        random = Random(seed)
        change = change_flag if seed % 2 else change_file
        arguments = change(random, trained)
        try:
            codes[check_answer(arguments, capfd)] += 1
            assert not [p for p in project.rglob("*") if p.name.endswith(".part")]
        except Exception as error:
            shown = [shortened(argument, limit=60) for argument in arguments]
            failures.append(f"seed {seed}: {shown}: {error!r}"[:2000])
        for file in ("config.yaml", "text.txt", "corpora", "outputs", "mlflow.db"):
            restore(kept / file, project / file)
    assert not failures, "\n".join(failures)
    return codes


def restore(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def test_damaged_commands(trained, capfd):
    assert sum(fuzz(25, trained, capfd).values()) == 25


@pytest.mark.slow
def test_many_damaged_commands(trained, capfd, record_property):
    codes = fuzz(300, trained, capfd)
    record_property("exit codes", str(codes))
    assert sum(codes.values()) == 300
    assert codes[2] > 100
