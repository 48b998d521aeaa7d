import getpass
import importlib.metadata
import shutil
import subprocess
import sys

import pytest

from pipeline.tracking.provenance import git_commit, package_versions, provenance_tags


def test_tags_of_a_cluster_job(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["unroll", "train", "--data.corpus=my data"])
    job = {"SLURM_JOB_ID": "17", "SLURM_RESTART_COUNT": "2", "SLURM_NODELIST": "n[1-2]"}
    tags = provenance_tags(4, job)
    assert tags.pop("host")
    assert tags.pop("mlflow.source.name").endswith(" train '--data.corpus=my data'")
    assert tags == {
        "mlflow.source.type": "LOCAL",
        "mlflow.user": getpass.getuser(),
        "world_size": "4",
        "slurm.job_id": "17",
        "slurm.restarts": "2",
    }


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_of_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert git_commit() is None
    name = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for arguments in (["init", "-q"], [*name, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *arguments], check=True)
    commit = subprocess.check_output(["git", "log", "--format=%H"], text=True).strip()
    assert git_commit() == commit
    assert provenance_tags(1, {})["mlflow.source.git.commit"] == commit


def test_packages():
    lines = package_versions().splitlines()
    assert f"mlflow=={importlib.metadata.version('mlflow')}" in lines
    assert lines == sorted(set(lines), key=str.lower)
