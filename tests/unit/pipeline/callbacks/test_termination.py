"""SIGTERM raises an exception, wherever it arrives."""

import os
import signal
import time

import pytest

from pipeline.callbacks.termination import Terminated, install, uninstall


class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # Python runs the handler here


def test_within_a_destructor(capfd):
    """Python ignores exceptions in destructors, so the signal would be lost."""
    install()
    try:
        Destroyed()
        with pytest.raises(Terminated):
            time.sleep(5)
    finally:
        uninstall()
    assert "Traceback" not in capfd.readouterr().err
