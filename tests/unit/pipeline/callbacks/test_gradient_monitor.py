"""The callback: training is what it is without it, and clipping is told as it was."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils.data import DataLoader

from pipeline.batches import IGNORE_INDEX
from pipeline.callbacks import FiniteGuard, GradientMonitor
from pipeline.callbacks.gradient_monitor import _log
from pipeline.encoders import LSTM, Elman, Identity
from pipeline.errors import InputError, TrainingError
from pipeline.pooling import Mean
from tests.examples import quiet_trainer
from tests.unit.pipeline.analysis.gradients.models import (
    classifier,
    language_model,
    sentences,
    tagger,
    texts,
    window,
)

UPDATES = 6


class Losses(Callback):
    """Keeps the loss of each batch, and the gradient that each update was made with."""

    def __init__(self):
        self.losses, self.before, self.after, self.states = [], [], [], []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.before.append(norm(pl_module))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"].item())
        self.after.append(norm(pl_module))
        modes = tuple(module.training for module in pl_module.modules())
        self.states.append((torch.get_rng_state().tolist(), modes))


class Log:
    """Stands for the logger's `log_metrics`."""

    def __init__(self):
        self.metrics = {}

    def __call__(self, metrics, step):
        for name, value in metrics.items():
            assert (name, step) not in self.metrics
            self.metrics[name, step] = value


def norm(module):
    squares = [p.grad.square().sum() for p in module.parameters() if p.grad is not None]
    return torch.stack(squares).sum().sqrt().item()


def fit(folder, monkeypatch, model, batches, callbacks, **settings):
    seen = Losses()
    settings |= {"default_root_dir": folder, "callbacks": [*callbacks, seen]}
    trainer = quiet_trainer(max_epochs=1, **settings)
    log = Log()
    monkeypatch.setattr(
        "pipeline.callbacks.gradient_monitor._log", lambda t, m: log(m, t.global_step)
    )
    torch.manual_seed(5)
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return seen, log.metrics


CASES = {
    "language model": (
        lambda: language_model(LSTM(3, 4, num_layers=2, dropout=0.3), dropout=0.3),
        lambda seed: window(rows=5, time=6, seed=seed),
    ),
    "tagger": (
        lambda: tagger(LSTM(3, 4, bidirectional=True, weight_dropout=0.4)),
        lambda seed: sentences((6, 3, 4), seed),
    ),
    "classifier": (
        lambda: classifier(Elman(3, 4, bidirectional=True), Mean()),
        lambda seed: texts((6, 3, 4), seed),
    ),
}


@pytest.fixture(autouse=True)
def quiet(recwarn):
    """Lightning's advice on loaders is nothing to a toy."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_training_is_the_same_to_the_last_bit(tmp_path, monkeypatch, case, accumulate):
    make, batch = CASES[case]
    results = []
    for callbacks in ([], [GradientMonitor(every_n_steps=1, rows=2)]):
        torch.manual_seed(0)
        model = make()
        batches = [batch(seed) for seed in range(UPDATES)]
        settings = {"gradient_clip_val": 0.2, "accumulate_grad_batches": accumulate}
        seen, log = fit(tmp_path, monkeypatch, model, batches, callbacks, **settings)
        weights = [weight.tolist() for weight in model.parameters()]
        results.append((seen.losses, seen.before, seen.after, seen.states, weights))
    assert results[0] == results[1]
    steps = sorted({step for name, step in log if name.endswith("/lag_1")})
    assert steps == list(range(1, UPDATES // accumulate + 1))
    assert (tmp_path / "gradients" / "gradients.png").stat().st_size > 10_000


@pytest.mark.parametrize(("limit", "kind"), [(0.9, "norm"), (0.3, "value"), (None, None)])
def test_clipping_is_told(tmp_path, monkeypatch, limit, kind):
    torch.manual_seed(0)
    model = language_model(Elman(3, 4))
    batches = [window(rows=2, time=1 + 3 * (seed % 2), seed=seed) for seed in range(UPDATES)]
    lens = GradientMonitor(every_n_steps=3)
    largest = []

    class Largest(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            largest.append(max(p.grad.abs().max().item() for p in pl_module.parameters()))

    settings = {"gradient_clip_val": limit, "gradient_clip_algorithm": kind}
    seen, log = fit(tmp_path, monkeypatch, model, batches, [lens, Largest()], **settings)
    for step in (3, 6):
        since = slice(step - 3, step)
        assert log["train/grad_norm_clipped", step] == pytest.approx(seen.after[step - 1])
        sizes = largest if kind == "value" else seen.before
        if limit is None:
            assert ("train/clipped_share", step) not in log
            assert seen.after == seen.before
        else:
            share = sum(size > limit for size in sizes[since]) / 3
            assert log["train/clipped_share", step] == pytest.approx(share)
    if limit is not None:
        clipped = [size > limit for size in sizes]
        assert any(clipped), sizes
        assert not all(clipped), sizes


def test_numbers_are_those_of_the_page(tmp_path, monkeypatch):
    model = language_model(LSTM(3, 4))
    batches = [window(seed=seed) for seed in range(2)]
    _, log = fit(tmp_path, monkeypatch, model, batches, [GradientMonitor(every_n_steps=2)])
    (layer,) = json.loads((tmp_path / "gradients" / "gradients.json").read_text())["layers"]
    assert log["gradients/layer_1/lag_1", 2] == pytest.approx(
        layer["gradients"]["state"][1] / layer["gradients"]["state"][0]
    )
    assert log["gradients/layer_1/per_step", 2] == pytest.approx(layer["factor"])
    assert log["gradients/layer_1/spectral_radius", 2] == layer["spectral_radius"]["candidate"]
    forget = layer["gates"]["forget"]["mean"]
    assert log["gradients/layer_1/gate_forget", 2] == pytest.approx(sum(forget) / len(forget))
    assert len(forget) == 7
    assert ("gradients/layer_1/lag_10", 2) not in log  # a window of seven steps has none


def test_a_blow_up_is_drawn(tmp_path, monkeypatch):
    model = language_model(Elman(3, 4, nonlinearity="relu"))
    with torch.no_grad():
        model.encoder.layers.layers[0].weights.recurrent.copy_(
            1e100 * torch.eye(4, dtype=torch.float64)
        )
        model.encoder.layers.layers[0].weights.input.abs_()
        model.embedding.weight.abs_()
    callbacks = [FiniteGuard(), GradientMonitor()]
    with pytest.raises(TrainingError, match="the loss is"):
        fit(tmp_path, monkeypatch, model, [window()], callbacks)
    numbers = json.loads((tmp_path / "gradients" / "gradients.json").read_text())
    assert numbers["layers"][0]["bound"] == pytest.approx(1e100)


def test_figures_are_kept_if_a_bad_loss_is_found_after_its_update(tmp_path, monkeypatch):
    model = language_model(LSTM(3, 4))
    inner = model.training_step

    def training_step(batch):
        return inner(batch, 0) * (float("nan") if model.global_step > 1 else 1)

    model.training_step = training_step
    monkeypatch.setattr(
        FiniteGuard, "on_before_backward", lambda self, trainer, _, loss: self._keep(trainer, loss)
    )
    callbacks = [FiniteGuard(), GradientMonitor(every_n_steps=1)]
    with pytest.raises(TrainingError, match="the loss was NaN or infinite at step 3, found at"):
        fit(tmp_path, monkeypatch, model, [window(seed=seed) for seed in range(4)], callbacks)
    assert not (tmp_path / "gradients").exists()


def test_impossible_settings(tmp_path, monkeypatch):
    for name in ("every_n_steps", "rows", "lags"):
        with pytest.raises(ValueError, match=f"^{name} of GradientMonitor must be at least 1"):
            GradientMonitor(**{name: 0})
    message = (
        r"^GradientMonitor needs recurrent layers, and this SentenceClassifier has none; leave"
    )
    with pytest.raises(InputError, match=message):
        fit(tmp_path, monkeypatch, classifier(Identity(3), Mean()), [texts()], [GradientMonitor()])
    model = language_model(Elman(3, 4, zoneout=0.1))
    with pytest.raises(InputError, match="zoneout"):
        fit(tmp_path, monkeypatch, model, [window()], [GradientMonitor()])


def test_a_batch_without_a_loss_is_not_looked_at(tmp_path, monkeypatch):
    nothing = window()._replace(targets=torch.full_like(window().targets, IGNORE_INDEX))
    batches = [nothing, window(seed=1), nothing]
    model = language_model(Elman(3, 4))
    _, metrics = fit(tmp_path, monkeypatch, model, batches, [GradientMonitor(every_n_steps=1)])
    # The page at the end, after update 3, is of the batch that has a loss.
    assert {step for name, step in metrics if name.startswith("gradients/")} == {2, 3}


def test_finite_figures_are_logged_with_the_number_of_updates():
    sent = []
    logger = SimpleNamespace(log_metrics=lambda metrics, step: sent.append((metrics, step)))
    trainer = SimpleNamespace(logger=logger, global_step=7)
    _log(trainer, {"a": 1.5, "b": math.nan, "c": math.inf})
    _log(trainer, {"b": math.nan})
    _log(SimpleNamespace(logger=None, global_step=7), {"a": 1.5})
    assert sent == [({"a": 1.5}, 7)]
