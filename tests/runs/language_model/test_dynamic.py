"""Dynamic evaluation against its formula, one update after the other in plain torch."""

from functools import partial

import numpy as np
import pytest
import torch

from datamodules.language_model.item_batches import ItemBatches
from datamodules.language_model.streams import Streams
from pipeline.encoders import LSTM
from pipeline.heads import ClassSoftmax, FrequencyBins
from pipeline.inference.dynamic_evaluation import dynamic_nll, gradient_rms
from pipeline.options import Dynamics
from tasks.language_model import LanguageModel
from tests.configs import part, small_config, write_config
from tests.examples import vocabulary
from tests.harness import command, error_of, scores

IDS = torch.randint(7, (41,), generator=torch.Generator().manual_seed(2)).int().numpy()


def make():
    torch.manual_seed(0)
    return LanguageModel(LSTM(3, 4), vocabulary(7), dropout=0.5).double().eval()


def nll(model, window, carry):
    states, carry = model(window.tokens, carry)
    scores = model.head.log_distribution(states)[0]
    losses = [-scores[t, target] for t, target in enumerate(window.targets[0])]
    return sum(losses), tuple(tuple(part.detach() for part in layer) for layer in carry)


def by_hand(model, steps, update):
    """Scores first, then learns; `update(parameter, start, gradient, index)` is a new value."""
    start = [parameter.detach().clone() for parameter in model.parameters()]
    total, carry = 0.0, None
    for window in Streams(IDS, 0, 1, steps):
        model.zero_grad()
        loss, carry = nll(model, window, carry)
        total += loss.item()
        (loss / window.targets.numel()).backward()
        with torch.no_grad():
            for index, parameter in enumerate(model.parameters()):
                parameter.copy_(update(parameter, start[index], parameter.grad, index))
    return total / len(IDS)


@pytest.mark.parametrize("steps", [1, 5, 41])
def test_plain_descent(steps):
    expected = by_hand(make(), steps, lambda p, start, g, _: p - 0.3 * g + 0.1 * (start - p))
    found = dynamic_nll(make(), Streams(IDS, 0, 1, steps), Dynamics(0.3, 0.1, steps, False), None)
    assert found.compute().item() == pytest.approx(expected, rel=1e-12)
    assert found.count == 41


def test_gradients_divided_by_their_size_in_training():
    training = list(Streams(IDS[::-1].copy(), 0, 2, 6))
    squares, carry, model = None, None, make()
    for window in training[:3]:
        states, carry = model(window.tokens, carry)
        carry = tuple(tuple(part.detach() for part in layer) for layer in carry)
        scores = model.head.log_probs(states, window.targets)
        gradients = torch.autograd.grad(-scores.mean(), list(model.parameters()))
        squares = [
            g**2 + (0 if squares is None else squares[index]) for index, g in enumerate(gradients)
        ]
    rms = [(square / 3).sqrt() for square in squares]
    measured = gradient_rms(make(), training, 3)
    torch.testing.assert_close(measured, rms)
    mean = torch.cat([part.flatten() for part in rms]).mean()

    def update(parameter, start, gradient, index):
        pull = torch.clamp(0.4 * rms[index] / mean, max=1)
        return parameter + pull * (start - parameter) - 0.01 * gradient / (rms[index] + 2e-5)

    expected = by_hand(make(), 5, update)
    how = Dynamics(rate=0.01, decay=0.4, steps=5, rms=True)
    found = dynamic_nll(make(), Streams(IDS, 0, 1, 5), how, measured)
    assert found.compute().item() == pytest.approx(expected, rel=1e-12)


def test_without_learning_it_is_the_plain_score():
    model = make()
    (window,) = Streams(IDS, 0, 1, 41)
    with torch.no_grad():
        expected = nll(model, window, None)[0].item() / 41
    found = dynamic_nll(make(), Streams(IDS, 0, 1, 7), Dynamics(0.0, 0.0, 7, False), None)
    assert found.compute().item() == pytest.approx(expected, rel=1e-12)


def test_weights_that_a_window_does_not_use_stay():
    """With a class a word, the second softmax has nothing to say about most words."""
    torch.manual_seed(0)
    classes = partial(ClassSoftmax, classes=FrequencyBins(7))
    model = LanguageModel(LSTM(3, 4), vocabulary(7), classes).double().eval()
    before = model.head.weight.detach().clone()
    found = dynamic_nll(model, Streams(IDS, 0, 1, 1), Dynamics(0.3, 0.0, 1, False), None)
    assert found.compute().isfinite()
    alone = model.head.partition.sizes[model.head.partition.class_of] == 1
    assert alone.any()
    torch.testing.assert_close(model.head.weight[alone], before[alone])


def test_items_start_afresh():
    model = make()
    items = ItemBatches(np.array([3, 4, 0, 5, 0, 6, 3, 4, 0, 1, 2, 0, 5, 0], np.int32), 0, 3)
    scores = [
        model.head.log_probs(model(batch.tokens, None)[0], batch.targets)[batch.targets != -100]
        for batch in items
    ]
    expected = -torch.cat(scores).mean().item()
    found = dynamic_nll(make(), items, Dynamics(1e-12, 0.0, 20, False), None)
    assert found.compute().item() == pytest.approx(expected, rel=1e-9)


def test_counts_cannot_learn(corpus, project, capsys):
    settings = small_config(corpus, run_name="counted")
    kneser_ney = part("pipeline.ngrams.KneserNey")
    settings["model"] = part("NgramLanguageModel", smoothing=kneser_ney, order=2)
    settings["trainer"] = {"max_epochs": 1}
    assert command("fit", f"--config={write_config(project, settings)}") == 0
    error = error_of(capsys, "test", "--run=counted", "--dynamic=0.1")
    assert "--dynamic updates the weights of a network" in error


def test_the_command(corpus, project, capsys):
    """A rate of next to nothing gives the plain score, another one another."""
    config = write_config(project, small_config(corpus, run_name="one"))
    assert command("fit", f"--config={config}") == 0
    capsys.readouterr()
    found = []
    for rate in ("1e-12", "0.3"):
        flags = [f"--dynamic={rate}", "--dynamic-steps=7"]
        assert command("validate", "--run=one", *flags) == 0
        found.append(scores(capsys.readouterr().out))
    plain = found[0]["val/perplexity"]
    assert found[0]["val/perplexity_dynamic"] == pytest.approx(plain, rel=1e-5)
    assert found[1]["val/perplexity"] == plain
    assert found[1]["val/perplexity_dynamic"] != pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--dynamic=0", "--dynamic is a learning rate above 0, got 0.0"),
        ("--dynamic-steps=0", "--dynamic-steps must be at least 1, got 0"),
        ("--dynamic-decay=2", "--dynamic-decay must be between 0 and 1, got 2.0"),
    ],
)
def test_refused(project, capsys, flag, message):
    flags = ["--dynamic=0.1", flag] if flag != "--dynamic=0" else [flag]
    assert message in error_of(capsys, "test", "--run=one", *flags)
