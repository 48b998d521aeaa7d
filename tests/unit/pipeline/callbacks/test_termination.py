"""SIGTERM raises an exception, wherever it arrives."""

import os
import signal
import time
from types import SimpleNamespace

import pytest
from lightning.pytorch import LightningModule

from pipeline.callbacks.termination import Terminated, Termination, install, uninstall


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


def test_the_exit_code_is_that_of_sigterm():
    assert Terminated().code == 143


def test_the_handler_is_installed_and_removed(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        uninstall()  # leaves the handler of someone else
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert install()
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        uninstall()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        monkeypatch.setenv("SLURM_JOB_ID", "1")
        assert not install()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_exception_ends_the_other_processes():
    ended = []
    callback = Termination(SimpleNamespace(end=lambda: ended.append(1)))
    callback.on_exception(SimpleNamespace(), LightningModule(), ValueError())
    assert ended == [1]


@pytest.mark.parametrize("is_slurm", [False, True])
def test_lightning_no_longer_asks_all_processes_for_the_signal(monkeypatch, is_slurm):
    """Its broadcast before each batch is left out, unless its handler is kept."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if is_slurm:
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    asked = []
    loop = SimpleNamespace(_broadcast_sigterm_tensor=lambda: asked.append(1))
    trainer = SimpleNamespace(fit_loop=SimpleNamespace(epoch_loop=loop))
    try:
        Termination(SimpleNamespace()).on_train_start(trainer, LightningModule())
        loop._broadcast_sigterm_tensor()
        assert asked == [1] * is_slurm
    finally:
        uninstall()


def test_a_test_ends_on_sigterm_too(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    try:
        Termination(SimpleNamespace()).on_test_start(SimpleNamespace(), LightningModule())
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
    finally:
        uninstall()
