"""Provenance of a run: code version, host, user, cluster job and packages."""

import getpass
import importlib.metadata
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.tracking.secrets import redact_command

UNCOMMITTED_TAG = "unroll.uncommitted"
"""Tag with the number of files that differ from the commit; "none" if there are none."""

JOB_VARIABLES = {
    "SLURM_JOB_ID": "slurm.job_id",
    "SLURM_ARRAY_JOB_ID": "slurm.array_job_id",
    "SLURM_ARRAY_TASK_ID": "slurm.array_task_id",
    "SLURM_RESTART_COUNT": "slurm.restarts",
    "PBS_JOBID": "pbs.job_id",
    "LSB_JOBID": "lsf.job_id",
}


def provenance_tags(world_size: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns run tags for the host and the cluster job."""
    tags = {"host": socket.gethostname(), "world_size": str(world_size)}
    return tags | {
        tag: environment[name] for name, tag in JOB_VARIABLES.items() if name in environment
    }


def source_tags() -> dict[str, str]:
    """Returns run tags for command, user, commit, and files that differ from the commit."""
    tags = {
        "mlflow.source.name": command_line(),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }
    commit = git_commit()
    if commit is None:
        return tags
    return tags | {"mlflow.source.git.commit": commit, UNCOMMITTED_TAG: uncommitted()}


def uncommitted() -> str:
    """Returns how many tracked files of this code differ from the commit, such as "2 files"."""
    changed = _git(Path(__file__).parent, "status", "--porcelain", "--untracked-files=no")
    number = len((changed or "").splitlines())
    return f"{number} file{'s' * (number != 1)}" if number else "none"


def command_line() -> str:
    """Returns the command of this process, quoted for a shell and without secrets."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is None:
        program = Path(sys.argv[0]).name
        return redact_command([program if program == "unroll" else sys.argv[0], *sys.argv[1:]])
    name = module.name.removesuffix(".__main__")
    return redact_command(["python", "-m", name, *sys.argv[1:]])


def git_commit() -> str | None:
    """Returns the git commit of this code; None if git does not track it or is not installed.

    An installed package has none, even if its environment is inside a repository.
    """
    code = Path(__file__)
    if "site-packages" in code.parts or _git(code.parent, "ls-files", code.name) != code.name:
        return None
    return _git(code.parent, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(  # noqa: S603  fixed arguments
            ["git", *arguments],  # noqa: S607  the user's git
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def package_versions() -> str:
    """Returns the installed packages as sorted lines `name==version`, like `pip freeze`."""
    found = {
        (package.metadata["Name"], package.version)
        for package in importlib.metadata.distributions()
        if package.metadata["Name"]  # a broken installation has none
    }
    lines = (f"{name}=={version}\n" for name, version in found)
    return "".join(sorted(lines, key=str.lower))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry in passwd, as in many containers
        return str(os.getuid())
