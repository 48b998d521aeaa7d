"""The precision chosen for simulated machines."""

from types import SimpleNamespace

import pytest
import torch

from pipeline.errors import InputError
from pipeline.run.precision import resolve_precision
from tests.examples import refuses


@pytest.fixture
def machine(monkeypatch):
    def become(avx512=False, amx=False, onednn=True, onednn_on=True, cuda=None, mps=False):
        """Simulates a machine; `cuda`: None without a GPU, else whether it supports bfloat16."""
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
        mkldnn = SimpleNamespace(is_available=lambda: onednn, enabled=onednn_on)
        monkeypatch.setattr(torch.backends, "mkldnn", mkldnn)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation=True: including_emulation or bool(cuda),
        )

    return become


@pytest.mark.parametrize(
    ("is_", "accelerator", "expected"),
    [
        ({}, "auto", "32-true"),
        ({"avx512": True}, "auto", "bf16-mixed"),
        ({"amx": True}, "cpu", "bf16-mixed"),
        ({"avx512": True, "amx": True, "onednn": False}, "cpu", "32-true"),
        ({"avx512": True, "onednn_on": False}, "cpu", "32-true"),
        ({"cuda": True}, "auto", "bf16-mixed"),
        ({"cuda": False, "avx512": True}, "auto", "16-mixed"),
        ({"cuda": False}, "cuda", "16-mixed"),
        ({"cuda": True}, "gpu", "bf16-mixed"),
        ({"cuda": True}, "cpu", "32-true"),
        ({"mps": True, "avx512": True}, "auto", "32-true"),
        ({"mps": True, "avx512": True}, "gpu", "32-true"),
        ({"mps": True, "avx512": True}, "cpu", "bf16-mixed"),
        ({"avx512": True}, "tpu", "32-true"),
    ],
)
def test_auto(machine, is_, accelerator, expected):
    machine(**is_)
    assert resolve_precision("auto", accelerator) == expected


@pytest.mark.parametrize("requested", ["bf16-mixed", "bf16-true", "bf16"])
def test_bfloat16_on_a_cpu_without_units_is_refused(machine, requested):
    machine()
    with pytest.raises(InputError) as error:
        resolve_precision(requested, "cpu")
    assert str(error.value) == (
        f"precision {requested} needs a CPU with AVX512-BF16 or AMX and torch with oneDNN, which "
        "this machine does not have; use --precision=32-true or --precision=auto"
    )


@pytest.mark.parametrize(
    ("is_", "accelerator"), [({}, "auto"), ({"cuda": True}, "cpu"), ({"mps": True}, "gpu")]
)
def test_tf32_needs_a_gpu(machine, is_, accelerator):
    machine(**is_)
    message = (
        "precision tf32 needs a CUDA GPU, which this machine does not have or the accelerator "
        "excludes; use --precision=32-true or --precision=auto"
    )
    with refuses(message):
        resolve_precision("tf32", accelerator)


@pytest.mark.parametrize(
    ("is_", "requested", "accelerator"),
    [
        ({}, "32-true", "cpu"),
        ({}, "64-true", "auto"),
        ({"avx512": True}, "bf16-mixed", "cpu"),
        ({"cuda": False}, "bf16-mixed", "auto"),
        ({}, "16-mixed", "gpu"),
        ({"cuda": True}, "tf32", "auto"),
        ({"cuda": False}, "tf32", "cuda"),
        ({"mps": True}, "bf16-mixed", "mps"),
    ],
)
def test_what_was_asked_for_is_left(machine, is_, requested, accelerator):
    machine(**is_)
    assert resolve_precision(requested, accelerator) == requested


def test_a_torch_without_the_detectors(machine, monkeypatch):
    machine(avx512=True, amx=True)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert resolve_precision("auto", "cpu") == "bf16-mixed"
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert resolve_precision("auto", "cpu") == "32-true"
