"""The task of the memory problems: its loss retyped, what it refuses, and that it is learned."""

import pytest
import torch
import yaml

from datamodules.long_memory.datamodule import SyntheticBatches
from pipeline.__main__ import ENTRY_POINT
from pipeline.analysis.gradients import analyze
from pipeline.cli.main import main
from pipeline.encoders import GRU, LSTM, Elman
from pipeline.synthetic import Adding, Copying
from tasks.long_memory import LongMemory
from tests.harness import REPOSITORY, history, only_run


def series(problem, size=5):
    return next(iter(SyntheticBatches(problem, [size], lambda: (3,))))


def task(encoder, problem):
    torch.manual_seed(1)
    return LongMemory(encoder, problem).double()


def doubled(batch):
    return batch._replace(inputs=batch.inputs.double())


def test_the_sum_is_read_off_the_last_state():
    problem = Adding(6)
    model, batch = task(Elman(2, 3), problem), doubled(series(problem))
    layer = model.encoder.layers.layers[0].kernel
    losses = []
    for row, target in zip(batch.inputs, batch.targets, strict=True):
        state = torch.zeros(3, dtype=torch.float64)
        for step in row:
            state = torch.tanh(
                layer.weight_ih_l0 @ step
                + layer.bias_ih_l0
                + layer.weight_hh_l0 @ state
                + layer.bias_hh_l0
            )
        losses.append((model.head.weight[0] @ state + model.head.bias[0] - target[0]) ** 2)
    expected = sum(losses) / 5
    torch.testing.assert_close(model.training_step(batch, 0), expected)


@pytest.mark.parametrize("problem", [Adding(6), Copying(delay=2, num_symbols=3, alphabet=4)])
def test_the_lens_looks_back_from_the_last_answer(problem):
    model, batch = task(Elman(problem.input_size, 3), problem), doubled(series(problem))
    found = analyze(model, batch, lags=20).layers[0].gradients["state"]
    state, states = torch.zeros(len(batch.inputs), 1, 3, dtype=torch.float64), []
    for step in batch.inputs.unbind(dim=1):
        state = model.encoder(step.unsqueeze(1), carry=((state[:, 0],),)).states
        states.append(state)
    loss = problem.losses(model.head(state), batch.targets[:, -1:]).sum()
    gradients = torch.autograd.grad(loss, states)
    expected = [gradient.flatten(1).norm(dim=1).mean().item() for gradient in reversed(gradients)]
    assert found == pytest.approx(expected, rel=1e-8)


def test_symbols_are_read_off_every_state():
    problem = Copying(delay=3, num_symbols=2, alphabet=3)
    model, batch = task(GRU(5, 4), problem), doubled(series(problem))
    log_probs = model.head(model.encoder(batch.inputs).states).log_softmax(-1)
    nll = 0.0
    for row in range(5):
        for step in range(7):
            nll -= log_probs[row, step, batch.targets[row, step]]
    torch.testing.assert_close(model.training_step(batch, 0), nll / (5 * 7))
    assert model.predict_step(batch, 0).shape == batch.targets.shape


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        (LSTM(2, 3, bidirectional=True), "a synthetic problem needs a causal encoder"),
        (LSTM(4, 3), "a step of adding-9 has 2 numbers, but the encoder has input_size 4"),
    ],
)
def test_encoders_that_do_not_fit(encoder, words):
    with pytest.raises(ValueError, match=words):
        LongMemory(encoder, Adding(9))


def test_a_short_sum_is_solved_and_training_stops(project, capsys):
    """The shipped configuration at length 6: solved, stopped early, tested, found again."""
    flags = ["--data.problem.length=6", "--model.encoder=GRU", "--model.encoder.hidden_size=16"]
    flags += ["--data.num_batches=100", "--data.num_test=500", "--data.num_valid=300"]
    flags += ["--model.optimizer.lr=0.02", "--trainer.max_epochs=40"]
    config = REPOSITORY / "configs" / "probes" / "adding-150.yaml"
    assert main(["train", f"--config={config}", *flags], ENTRY_POINT) == 0
    run = only_run(project)
    errors = [mse for _, mse in history(project, run.info.run_id, "val/mse")]
    assert errors[-1] < 0.01
    assert all(error >= 0.01 for error in errors[:-1])
    assert len(errors) < 40
    assert run.data.metrics["test/solved"] == run.data.metrics["val/solved"] == 1
    assert "unroll predict --run" in capsys.readouterr().err
    assert main(["predict", "--run", run.info.run_id[:8]], ENTRY_POINT) == 0
    pairs = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(pairs) == 500
    squares = [(float(gold) - float(answer)) ** 2 for gold, answer in pairs]
    assert sum(squares) / 500 == pytest.approx(run.data.metrics["test/mse"], rel=1e-3)
    kept = yaml.safe_load((next(project.glob("outputs/*")) / "config.yaml").read_text())
    assert kept["seed_everything"] == kept["data"]["init_args"]["seed"] == 1
