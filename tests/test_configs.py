"""Every shipped configuration is one that the command line takes, and says its own command."""

from pathlib import Path

import pytest
import yaml

from datamodules.builtin import builtin_folder  # noqa: F401  (the built-in corpora need no files)
from pipeline.cli import main
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check
from tests.harness import REPOSITORY

CONFIGS = sorted((REPOSITORY / "configs").rglob("*.yaml"))
EXPERIMENTS = [path for path in CONFIGS if path.parent.name != "trainer"]


def identity(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", CONFIGS, ids=identity)
def test_flags_are_known_and_the_first_line_is_the_command(path):
    check([f"--config={path}"], TOP_LEVEL)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# unroll train --config configs/")
    assert str(path.relative_to(REPOSITORY)) in first


@pytest.mark.parametrize("path", EXPERIMENTS, ids=identity)
def test_two_steps_of_each(path, project, corpus, capsys):
    """Built and trained for two steps, on a small corpus in place of the real one."""
    known = ("tasks.language_model", "datamodules.language_model")
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    bptt = min(settings["data"]["init_args"]["bptt"], 50)
    code = main(
        [
            "train",
            f"--config={path}",
            f"--data.corpus={corpus}",
            f"--data.bptt={bptt}",
            "--trainer.max_steps=2",
            "--trainer.limit_val_batches=1",
            "--trainer.limit_test_batches=1",
            "--precision=32-true",
        ],
        known,
    )
    assert code == 0, capsys.readouterr().err
