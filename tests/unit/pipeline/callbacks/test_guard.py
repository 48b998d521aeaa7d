"""The guard against losses and weights that are not finite: on the CPU and on a device."""

import re

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from pipeline.callbacks import BestCheckpoint, FiniteGuard, PeriodicCheckpoint
from pipeline.callbacks.guard import infinite_weights
from pipeline.errors import TrainingError
from tests.examples import quiet_trainer, value_error

LENGTH = 10  # batches of an epoch


class OnDevice(FiniteGuard):
    """Takes the path of a loss on a device."""

    def on_before_backward(self, trainer, pl_module, loss):
        self._keep(trainer, loss)


class Toy(LightningModule):
    """One weight; the loss of one step is replaced."""

    monitor = "val/perplexity"

    def __init__(self, bad_step, value=float("nan")):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.bad_step, self.value = bad_step, value
        self.num_validations = self.steps = 0

    def training_step(self, batch):
        self.steps += 1
        factor = self.value if self.global_step + 1 == self.bad_step else 1.0
        return self.layer(batch).square().sum() * factor

    def validation_step(self, batch):
        self.num_validations += 1
        self.log("val/perplexity", 1.0 / self.num_validations, batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

    def train_dataloader(self):
        return DataLoader(torch.ones(LENGTH, 1))

    def val_dataloader(self):
        return DataLoader(torch.ones(1, 1))


def fit(model, *callbacks, **settings):
    trainer = quiet_trainer(
        callbacks=list(callbacks), num_sanity_val_steps=0, **{"max_epochs": 3, **settings}
    )
    trainer.fit(model)
    return trainer


def stops(reason, epoch):
    return pytest.raises(
        TrainingError, match=f"^training stopped: {re.escape(reason)} \\(epoch {epoch}\\); lower"
    )


def steps_in(path):
    checkpoint = torch.load(path, weights_only=False)
    assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())
    return checkpoint["global_step"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_on_the_cpu_a_bad_loss_is_found_before_its_update(value):
    model = Toy(bad_step=13, value=value)
    with pytest.raises(TrainingError, match=r"the loss is -?(nan|inf) at step 13 \(epoch 2\)"):
        fit(model, FiniteGuard())
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert model.steps == 13


@pytest.mark.parametrize(
    ("bad_step", "every", "found", "epoch"),
    [
        (3, 4, 4, 1),
        (4, 4, 4, 1),
        (5, 4, 8, 1),
        (9, 4, 10, 1),  # before the validation at the end of the epoch
        (10, 50, 10, 1),
        (11, 4, 12, 2),
        (27, 50, 30, 3),
    ],
)
def test_on_a_device_it_is_found_within_n_steps(bad_step, every, found, epoch):
    model = Toy(bad_step)
    reason = f"the loss was NaN or infinite at step {bad_step}, found at step {found}"
    with stops(reason, epoch):
        fit(model, OnDevice(every_n_steps=every))
    assert model.steps == found
    assert model.num_validations == epoch - 1


@pytest.mark.parametrize("bad_step", range(1, 2 * LENGTH + 1))
@pytest.mark.parametrize("guard_first", [True, False])
def test_no_checkpoint_has_bad_weights(tmp_path, bad_step, guard_first):
    last, best = tmp_path / "last.ckpt", tmp_path / "best.ckpt"
    guard = OnDevice(every_n_steps=50)
    writers = [BestCheckpoint(best, Toy.monitor, "min"), PeriodicCheckpoint(last, 4)]
    callbacks = [guard, *writers] if guard_first else [*writers, guard]
    with pytest.raises(TrainingError, match=f"at step {bad_step}, found"):
        fit(Toy(bad_step), *callbacks)
    assert last.exists() == (bad_step > 1)
    for path in tmp_path.iterdir():
        assert steps_in(path) < bad_step
    assert best.exists() == (bad_step > LENGTH)


def test_accumulated_batches_are_all_checked():
    model = Toy(bad_step=2)  # batches 4 to 6
    reason = "the loss was NaN or infinite at step 2, found at step 3"
    with stops(reason, 1):
        fit(model, OnDevice(every_n_steps=3), accumulate_grad_batches=3)
    assert model.steps == 9


def test_all_processes_stop_at_the_first_step_of_any(monkeypatch):
    trainer = quiet_trainer()
    guard = OnDevice()
    asked = []

    def reduce(tensor, reduce_op):
        asked.append((tensor.item(), reduce_op))
        return torch.minimum(tensor, torch.tensor(3))

    monkeypatch.setattr(trainer.strategy, "reduce", reduce)
    guard._steps, guard._losses = [4, 5], [torch.tensor(1.0), torch.tensor(2.0)]
    with stops("the loss was NaN or infinite at step 3, found at step 5", 1):
        guard.on_validation_start(trainer, Toy(0))
    assert asked == [(2**62, "min")]


def test_a_device_is_not_waited_for():
    guard, trainer = FiniteGuard(), quiet_trainer()
    weight = torch.ones((), device="meta", requires_grad=True)
    for _ in range(3):
        guard.on_before_backward(trainer, Toy(0), weight * 2)
    assert len(guard._losses) == 3
    assert not any(loss.requires_grad for loss in guard._losses)


def test_nothing_is_left_of_an_interrupted_training():
    guard = OnDevice()
    guard._steps, guard._losses = [7], [torch.tensor(float("nan"))]
    fit(Toy(0), guard)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_bad_weights_are_named(tmp_path, value):
    model = torch.nn.ModuleDict({"one": torch.nn.Linear(2, 3), "two": torch.nn.Linear(3, 2)})
    assert infinite_weights(model) is None
    with torch.no_grad():
        model["two"].weight[1, 2] = value
        model["two"].bias[0] = value
    assert infinite_weights(model) == "two.weight"


def test_weights_whose_norm_overflows_are_finite():
    model = torch.nn.Linear(2, 3)
    torch.nn.init.constant_(model.weight, 1e30)
    assert torch.nn.utils.get_total_norm([model.weight.detach()]).isinf()
    assert infinite_weights(model) is None


def test_a_task_without_weights():
    assert infinite_weights(torch.nn.Module()) is None


def test_weights_are_read_once(monkeypatch):
    reads = []
    monkeypatch.setattr(
        torch, "isfinite", lambda tensor: reads.append(tensor.shape) or torch.ones(()).bool()
    )
    assert infinite_weights(torch.nn.LSTM(3, 4, num_layers=3)) is None
    assert reads == [torch.Size([])]


def test_a_number_below_one():
    with value_error("every_n_steps must be at least 1, got 0"):
        FiniteGuard(0)


@pytest.mark.gpu
def test_a_gpu_is_not_waited_for():
    guard, trainer, model = FiniteGuard(), quiet_trainer(), Toy(0).cuda()
    losses = [model.layer(torch.ones(1, 1, device="cuda")).sum() * factor for factor in (1, 2)]
    bad = losses[0] / torch.zeros(1, device="cuda").squeeze()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for loss in (*losses, bad):
            guard.on_before_backward(trainer, model, loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with stops("the loss was NaN or infinite at step 1, found at step 1", 1):
        guard.on_validation_start(trainer, model)
    assert infinite_weights(model) is None
    model.layer.bias.data.fill_(float("nan"))
    assert infinite_weights(model) == "layer.bias"
