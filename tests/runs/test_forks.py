"""The harness's own: a command that hangs is killed, and answers are to their own commands."""

import subprocess
import sys
import time

import psutil
import pytest

from tests.harness import execute, unroll, wait_for

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="does not fork there")


def test_a_status_and_both_outputs(project):
    done = unroll("runs", "--help")
    assert done.returncode == 0
    assert "usage: unroll runs" in done.stdout
    done = unroll("nothing")
    assert done.returncode == 2
    assert "nothing" in done.stderr


def test_a_command_that_hangs_is_killed_and_the_next_one_is_answered(project):
    assert unroll("runs", "--help").returncode == 0  # the imports are not timed
    start = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        unroll("runs", timeout=0.0)
    assert time.monotonic() - start < 10
    assert unroll("nothing").returncode == 2


def test_variables_that_act_on_a_start_make_a_process_from_nothing(project, monkeypatch):
    monkeypatch.setattr("tests.harness.server", None)
    assert unroll("--help", PYTHONHASHSEED="1").returncode == 0


def test_what_a_command_has_started_is_killed_with_it(tmp_path):
    """Also in a group of its own, and though it keeps the output open."""
    code = (
        "import pathlib, subprocess, sys, time;"
        "own = subprocess.Popen(['sleep', '60'], start_new_session=True);"
        "shared = subprocess.Popen(['sleep', '60']);"
        "pathlib.Path(sys.argv[1]).write_text(f'{own.pid} {shared.pid}'); time.sleep(60)"
    )
    start = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        execute([sys.executable, "-c", code, str(tmp_path / "pids")], timeout=1.0)
    assert time.monotonic() - start < 10
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_for(lambda: all(has_ended(pid) for pid in pids), 10)


def has_ended(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
