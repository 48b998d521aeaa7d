"""The harness's own: a command that hangs is killed, and answers are to their own commands."""

import subprocess
import sys
import time

import pytest

from tests.harness import unroll

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
