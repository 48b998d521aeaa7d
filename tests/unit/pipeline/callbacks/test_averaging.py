"""Triggered averaging against the paper's algorithm in plain Python, on one weight."""

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from pipeline.callbacks import BestCheckpoint, PeriodicCheckpoint, TriggeredAveraging
from tests.examples import quiet_trainer, refuses, value_error

RATE, LENGTH = 0.25, 3  # learning rate; number of updates between two validations
PULLS = [(7 * k) % 5 - 2.0 for k in range(60)]  # target of the weight in each update
WORSE_AT = 6


def score(index, weight):
    """A score that depends on the weight, falls, and rises once."""
    return 50.0 - index + abs(weight) / 100 + (20 if index == WORSE_AT else 0)


def by_hand(interval, num_updates):
    """Algorithm 1 with the authors' trigger: validated weights, average and current weight."""
    weight, logs, start, validated, iterates = 1.0, [], None, [], []
    for k in range(1, num_updates + 1):
        weight -= RATE * (weight - PULLS[k - 1])
        iterates.append(weight)
        if k % LENGTH == 0:
            averaged = weight if start is None else sum(iterates[start:]) / len(iterates[start:])
            validated.append(averaged)
            new = score(len(logs), averaged)
            if start is None and len(logs) > interval and new > min(logs[:-interval]):
                start = k - 1  # the weights of this moment are in the average
            logs.append(new)
    return validated, start, weight


class Toy(LightningModule):
    """One weight with two names, like tied matrices; each batch is an index of PULLS."""

    monitor = "val/perplexity"

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Linear(1, 1, bias=False).double()
        self.two = torch.nn.Linear(1, 1, bias=False).double()
        self.two.weight = self.one.weight
        torch.nn.init.ones_(self.one.weight)
        self.validated = []

    def training_step(self, batch):
        return (self.two.weight - PULLS[self.global_step]).square().sum() / 2

    def validation_step(self, batch):
        self.validated.append(self.one.weight.item())
        index = self.global_step // LENGTH - 1
        value = torch.tensor(score(index, self.validated[-1]), dtype=torch.float64)
        self.log("val/perplexity", value, batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), RATE)

    def train_dataloader(self):
        return DataLoader(torch.zeros(LENGTH, 1))

    def val_dataloader(self):
        return DataLoader(torch.zeros(1, 1))


def trainer(folder, num_updates, callbacks):
    settings = {"max_steps": num_updates, "num_sanity_val_steps": 0, "default_root_dir": folder}
    return quiet_trainer(callbacks=callbacks, **settings)


def fit(folder, num_updates, resume=None, interval=2, monitor="val/perplexity"):
    model = Toy()
    best = BestCheckpoint(folder / "best.ckpt", "val/perplexity", "min")
    averaging = TriggeredAveraging(interval, monitor)
    last = PeriodicCheckpoint(folder / "last.ckpt", 1)
    trainer(folder, num_updates, [averaging, best, last]).fit(model, ckpt_path=resume)
    return model, best


@pytest.fixture(autouse=True)
def quiet(recwarn):
    """Ignores Lightning's advice on loaders."""


@pytest.mark.parametrize("interval", [1, 2, 5, 7])
def test_the_algorithm(tmp_path, interval, capsys):
    validated, start, weight = by_hand(interval, 36)
    assert (start is not None) == (interval < WORSE_AT)
    model, _ = fit(tmp_path, 36, interval=interval)
    assert model.validated == pytest.approx(validated, abs=1e-12)
    # The module has the weights that would be validated.
    assert model.one.weight.item() == pytest.approx(validated[-1] if start else weight, abs=1e-12)
    said = f"weights are averaged from step {(WORSE_AT + 1) * LENGTH}: val/perplexity 64."
    assert (said in capsys.readouterr().err) == (start is not None)


def test_best_holds_the_weights_that_scored(tmp_path):
    model, best = fit(tmp_path, 36)
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    state = checkpoint["state_dict"]
    index = len(model.validated) - 1
    assert state["one.weight"].item() == state["two.weight"].item() == model.validated[index]
    assert best.best == score(index, state["one.weight"].item())
    (last,) = checkpoint["last_weights"]
    assert last.item() == pytest.approx(by_hand(2, 36)[2], abs=1e-12)
    assert last.item() != state["one.weight"].item()


@pytest.mark.parametrize("stop", [2, 20, 21, 22, 23, 25, 28, 31])
def test_resumed_is_uninterrupted(tmp_path, stop):
    whole, _ = fit(tmp_path, 36)
    (tmp_path / "broken").mkdir()
    first, _ = fit(tmp_path / "broken", stop)
    saved = torch.load(tmp_path / "broken" / "last.ckpt", weights_only=True)["global_step"]
    rest, _ = fit(tmp_path / "broken", 36, resume=tmp_path / "broken" / "last.ckpt")
    assert first.validated[: saved // LENGTH] + rest.validated == whole.validated
    assert torch.equal(rest.one.weight, whole.one.weight)


def test_a_checkpoint_while_the_averages_are_in_place_holds_both(tmp_path):
    """A callback listed before it that writes a checkpoint at the end of a validation."""
    model = Toy()
    best = BestCheckpoint(tmp_path / "best.ckpt", "val/perplexity", "min")
    trainer(tmp_path, 36, [best, TriggeredAveraging(2)]).fit(model)
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["one.weight"].item() == model.validated[-1]
    assert checkpoint["last_weights"][0].item() == pytest.approx(by_hand(2, 36)[2], abs=1e-12)


def test_impossible_settings(tmp_path):
    for interval in (0, -1):
        with value_error(f"interval must be at least 1 validation, got {interval}"):
            TriggeredAveraging(interval)
    message = (
        "TriggeredAveraging: validation has no metric val/f1; set monitor to one of: val/perplexity"
    )
    with refuses(message):
        fit(tmp_path, 36, monitor="val/f1")
