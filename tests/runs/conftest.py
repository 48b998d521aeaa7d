import pytest

from tests import harness


@pytest.fixture(autouse=True)
def _no_process_is_left():
    """Kills what is left of the processes that a test has started, also if it fails."""
    yield
    while harness.started:
        harness.kill(harness.started.pop())
