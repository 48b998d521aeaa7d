"""Files in the current folder: they hide none of our packages, and the user's own are found."""

import subprocess
import sys

import pytest

from tests.harness import REPOSITORY, environment

MINE = """
from tasks.language_model import LanguageModel

class MyModel(LanguageModel):
    pass
"""
SCRIPT = "import sys; from pipeline.__main__ import run; sys.exit(run())"


@pytest.mark.parametrize(
    ("kind", "launcher"),
    [
        pytest.param("files", ("-P", "-c", SCRIPT), id="files-P"),
        pytest.param("folders", ("-m", "pipeline"), id="folders-m"),
        pytest.param("files", ("-m", "pipeline"), id="files-m", marks=pytest.mark.slow),
        pytest.param("folders", ("-P", "-c", SCRIPT), id="folders-P", marks=pytest.mark.slow),
    ],
)
def test_names_of_our_packages(tmp_path, kind, launcher):
    """The console script starts as with -P, where the current folder is not on the path."""
    names = ["tasks", "datamodules", "yaml"] if launcher[0] == "-P" else ["tasks", "datamodules"]
    if kind == "files":
        for name in names:
            (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')")
    else:
        for name in (*names, "pipeline"):
            (tmp_path / name).mkdir()
    (tmp_path / "my_model.py").write_text(MINE)
    flags = ["--config=lm/builtin-lstm", "--model=my_model.MyModel", "--json"]
    done = subprocess.run(
        [sys.executable, *launcher, "parameters", *flags],
        cwd=tmp_path, env=environment(PYTHONPATH=str(REPOSITORY)), capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "encoder 1" in done.stdout
