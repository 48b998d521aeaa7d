import getpass
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys

import pytest

from pipeline.tracking import provenance
from pipeline.tracking.provenance import package_versions, provenance_tags, source_tags


def test_tags_of_a_cluster_job(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["unroll", "train", "--data.corpus=my data"])
    job = {"SLURM_JOB_ID": "17", "SLURM_RESTART_COUNT": "2", "SLURM_NODELIST": "n[1-2]"}
    tags = provenance_tags(4, job)
    assert tags.pop("host")
    assert tags == {"world_size": "4", "slurm.job_id": "17", "slurm.restarts": "2"}
    source = source_tags()
    source.pop("mlflow.source.git.commit", None)  # of this checkout
    source.pop("unroll.uncommitted", None)
    assert source.pop("mlflow.source.name").endswith(" train '--data.corpus=my data'")
    assert source == {"mlflow.source.type": "LOCAL", "mlflow.user": getpass.getuser()}


@pytest.fixture
def repository(tmp_path):
    """Creates a repository with a copy of the module in one commit; returns both."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (tmp_path / "code").mkdir()
    shutil.copy(provenance.__file__, tmp_path / "code" / "provenance.py")
    return tmp_path, commit_all(tmp_path)


def commit_all(folder):
    name = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*name, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], check=True, cwd=folder, timeout=60)
    command = ["git", "log", "--format=%H"]
    return subprocess.check_output(command, text=True, cwd=folder, timeout=60).strip()


def loaded(path):
    """Imports a copy of `pipeline.tracking.provenance`."""
    spec = importlib.util.spec_from_file_location("copied", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commit_of_the_code_wherever_it_is_started(repository, monkeypatch, tmp_path_factory):
    folder, commit = repository
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "notes.txt").write_text("of another project")
    assert commit_all(elsewhere) != commit
    monkeypatch.chdir(elsewhere)
    copied = loaded(folder / "code" / "provenance.py")
    assert copied.git_commit() == commit
    tags = copied.source_tags()
    assert (tags["mlflow.source.git.commit"], tags["unroll.uncommitted"]) == (commit, "none")
    with (folder / "code" / "provenance.py").open("a") as file:
        file.write("# changed")
    assert copied.source_tags()["unroll.uncommitted"] == "1 file"


def test_code_that_a_surrounding_repository_does_not_track(repository, tmp_path_factory):
    folder, _ = repository
    untracked = folder / "vendored"
    installed = folder / ".venv" / "lib" / "site-packages" / "pipeline"
    alone = tmp_path_factory.mktemp("alone")
    for place in (untracked, installed, alone):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(provenance.__file__, place / "provenance.py")
    for place in (untracked, installed, alone):
        assert loaded(place / "provenance.py").git_commit() is None
    commit_all(folder)  # installed code has no commit, even if its environment is in git
    assert loaded(untracked / "provenance.py").git_commit() is not None
    copied = loaded(installed / "provenance.py")
    assert copied.git_commit() is None
    assert "mlflow.source.git.commit" not in copied.source_tags()


def test_packages():
    lines = package_versions().splitlines()
    assert f"mlflow=={importlib.metadata.version('mlflow')}" in lines
    assert lines == sorted(set(lines), key=str.lower)
