"""A test that hangs fails with the stacks of its threads, and the tests after it run."""

import sys

from tests.harness import REPOSITORY, environment, execute

HANGING = """
import itertools, threading

def test_before():
    pass

def test_waits():
    threading.Thread(target=threading.Event().wait, args=(60,), name="other", daemon=True).start()
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def test_between():
    pass

def test_computes():
    sum(itertools.repeat(0, 10**12))

def test_after():
    pass
"""


def test_a_hanging_test_fails_with_its_stacks_and_the_rest_runs(tmp_path):
    (tmp_path / "test_hanging.py").write_text(HANGING)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntimeout = 2\ntimeout_method = signal\n")
    plugins = ["-p", "tests.timeouts", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = execute(
        [sys.executable, "-m", "pytest", "-n1", "-rA", *plugins],
        timeout=60,
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(REPOSITORY)),
    )
    said = done.stdout + done.stderr
    for name in ("before", "between", "after"):
        assert f"PASSED test_hanging.py::test_{name}" in said
    assert "FAILED test_hanging.py::test_waits - Failed: Timeout" in said
    assert "Stack of other" in said
    assert "crashed while running 'test_hanging.py::test_computes'" in said
    assert "in test_computes" in done.stderr
    assert "2 failed, 3 passed" in said
