"""How often training reads a tensor: on a GPU the host waits for the device each time."""

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.callbacks import FiniteGuard
from tasks.language_model import LanguageModel
from tests.configs import part, small_config, write_config
from tests.harness import command

READS = {
    "aten::_local_scalar_dense",  # .item(), .tolist(), float(), bool()
    "aten::is_nonzero",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_consecutive",
}


class Reads(TorchDispatchMode):
    """Counts reads after each training step has begun."""

    def __init__(self):
        super().__init__()
        self.counts = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if self.counts and function._schema.name in READS:
            self.counts[-1] += 1
        return function(*args, **(kwargs or {}))


def counts_of(monkeypatch, config, *flags):
    """Reads per training step of a training whose step itself reads nothing."""
    reads = Reads()

    def training_step(task, window, batch_idx):
        reads.counts.append(0)
        return sum(weight.square().sum() for weight in task.parameters())

    monkeypatch.setattr(LanguageModel, "training_step", training_step)
    monkeypatch.setattr(LanguageModel, "validation_step", lambda task, window, batch_idx: None)
    monkeypatch.setattr(LanguageModel, "on_validation_epoch_end", validation_epoch_end)
    with reads:
        assert command("fit", "--config", config, *flags) == 0
    return reads.counts


def validation_epoch_end(task):
    task.log("val/perplexity", 1.0)


def on_device(guard, trainer, pl_module, loss):
    guard._keep(trainer, loss)


@pytest.mark.parametrize("is_checked_on_device", [True, False])
def test_training_reads_tensors_every_n_steps_only(
    project, corpus, monkeypatch, is_checked_on_device
):
    if is_checked_on_device:
        monkeypatch.setattr(FiniteGuard, "on_before_backward", on_device)
    flags = {
        "trainer.max_epochs": 1,
        "trainer.limit_train_batches": 45,
        "data.init_args.bptt": 10,
        "trainer.log_every_n_steps": 10,
        "trainer.gradient_clip_val": 1.0,
        "checkpoint_every": 17,
        "precision": "32-true",
        "model.init_args.optimizer": part("torch.optim.SGD", lr=0.001),
    }
    config = write_config(project, small_config(corpus, **flags))
    counts = counts_of(monkeypatch, config)
    assert len(counts) == 45
    busy = [step for step, count in enumerate(counts, start=1) if count]
    if is_checked_on_device:
        # Logs at 10, 20, 30 and 40, checkpoints at 1, 17 and 34, the end of the epoch.
        assert busy == [1, 10, 17, 20, 30, 34, 40, 45]
        assert max(counts[:44]) <= 5
    else:
        assert busy == list(range(1, 46))  # the CPU checks each loss
