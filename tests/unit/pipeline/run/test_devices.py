"""Accelerators, strategies and deterministic algorithms that a training cannot use."""

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator, MPSAccelerator
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy

from pipeline.run.devices import (
    ends_determinism,
    explain_nondeterminism,
    refuse_sharding,
    usable_accelerator,
)
from tests.examples import refuses

NO_FLOAT64 = "Apple GPUs have no float64, in which scores are summed"


@pytest.fixture
def machine(monkeypatch):
    def become(cuda=False, apple=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)

    return become


@pytest.mark.parametrize(
    ("cuda", "apple", "requested", "expected"),
    [
        (False, False, "auto", "cpu"),
        (False, True, "auto", "cpu"),
        (True, False, "auto", "auto"),
        (True, True, "auto", "auto"),
        (True, True, "gpu", "gpu"),
        (False, False, "gpu", "gpu"),  # Lightning says that there is none
        (False, True, "cpu", "cpu"),
        (True, False, "cuda", "cuda"),
    ],
)
def test_accelerators(machine, capsys, cuda, apple, requested, expected):
    machine(cuda, apple)
    assert usable_accelerator(requested) == expected
    note = f"the CPU is used: {NO_FLOAT64}\n"
    is_noted = apple and not cuda and requested == "auto"
    assert capsys.readouterr().err == (note if is_noted else "")


def test_a_training_leaves_deterministic_algorithms_as_they_were():
    for enabled, warns in [(False, False), (True, True)]:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        torch.backends.cudnn.benchmark = True
        with ends_determinism():
            Trainer(accelerator="cpu", deterministic=True, logger=False)
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        found = torch.are_deterministic_algorithms_enabled()
        assert (found, torch.is_deterministic_algorithms_warn_only_enabled()) == (enabled, warns)
        assert torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False


def test_a_built_accelerator(machine):
    machine()
    built = CPUAccelerator()
    assert usable_accelerator(built) is built


@pytest.mark.parametrize(
    ("cuda", "apple", "requested", "name"),
    [
        (False, True, "mps", "mps"),
        (False, False, "mps", "mps"),
        (True, True, "mps", "mps"),
        (False, True, "gpu", "gpu"),
        (False, True, MPSAccelerator(), "MPSAccelerator"),
    ],
)
def test_apple_gpus_are_refused(machine, cuda, apple, requested, name):
    machine(cuda, apple)
    message = f"--trainer.accelerator={name}: {NO_FLOAT64}; use --trainer.accelerator=cpu"
    with refuses(message):
        usable_accelerator(requested)


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        ("fsdp", "fsdp"),
        ("fsdp_cpu_offload", "fsdp_cpu_offload"),
        ("deepspeed", "deepspeed"),
        ("deepspeed_stage_3_offload", "deepspeed_stage_3_offload"),
        (FSDPStrategy(), "FSDPStrategy"),
        (ModelParallelStrategy(), "ModelParallelStrategy"),
    ],
)
def test_sharding_is_refused(strategy, name):
    message = (
        f"--trainer.strategy={name} divides the weights among processes, but a checkpoint is one "
        "file with all weights; use --trainer.strategy=ddp"
    )
    with refuses(message):
        refuse_sharding(strategy)


@pytest.mark.parametrize("strategy", ["auto", "ddp", "single_device", DDPStrategy()])
def test_other_strategies_are_allowed(strategy):
    refuse_sharding(strategy)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_an_operation_without_a_deterministic_implementation(deterministic):
    message = (
        "--trainer.deterministic=true: torch has no deterministic implementation of put_ on this "
        "device; use --trainer.deterministic=warn, which prints a warning instead, or another part "
        "of the model"
    )
    with refuses(message), explain_nondeterminism():
        torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))


def test_other_errors_are_not_changed():
    with (
        pytest.raises(RuntimeError, match="is invalid for input of size 2"),
        explain_nondeterminism(),
    ):
        torch.zeros(2).view(3)
