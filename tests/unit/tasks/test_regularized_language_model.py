"""What AWD-LSTM adds to a training step, against the step written out."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from pipeline.batches import StreamWindow
from pipeline.encoders import LSTM
from pipeline.regularization import ActivationPenalty, Dropouts
from tasks.language_model import LanguageModel
from tests.examples import quiet_trainer, vocabulary


def make(encoder=None, **settings):
    torch.manual_seed(0)
    encoder = encoder or LSTM(3, 5, num_layers=2)
    return LanguageModel(encoder, vocabulary=vocabulary(7), **settings)


def window(width, rate_factor=1.0, reread=0, reread_next=0):
    stream = torch.randint(7, (2, reread + width + 1))
    targets = stream[:, 1 + reread :]
    return StreamWindow(stream[:, :-1], targets, targets.numel(), reread_next, rate_factor)


def test_the_penalty_is_in_the_gradient_and_not_in_the_loss():
    model = make(penalty=ActivationPenalty(2.0, 1.0), dropout=Dropouts(outputs=0.5)).double()
    batch = window(6)
    torch.manual_seed(5)
    loss = model.training_step(batch, 0)
    gradients = torch.autograd.grad(loss, list(model.parameters()))

    torch.manual_seed(5)
    states = model.encoder(model.embedding(batch.tokens)).states
    dropped = model.dropout.outputs(states)
    log_probs = model.head.log_distribution(dropped).flatten(0, 1)
    nll = nn.functional.nll_loss(log_probs, batch.targets.flatten())
    penalty = 2 * dropped.pow(2).mean() + (states[:, 1:] - states[:, :-1]).pow(2).mean()
    expected = torch.autograd.grad(nll + penalty, list(model.parameters()))
    assert loss.item() == pytest.approx(nll.item())
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_number_is_that_chance_at_each_step():
    """`dropout: 0.5` is what it was: one draw for the inputs, one for the outputs."""
    model, batch = make(dropout=0.5), window(6)
    torch.manual_seed(6)
    ours = model(batch.tokens)[0]
    torch.manual_seed(6)
    inputs = nn.functional.dropout(model.embedding(batch.tokens), 0.5)
    assert torch.equal(ours, nn.functional.dropout(model.encoder(inputs).states, 0.5))
    with pytest.raises(ValueError, match=r"^dropout must be at least 0 and below 1, got 1\.0$"):
        make(dropout=1.0)


def test_what_is_read_again_has_the_same_masks():
    """A window is embedded once, however many calls of the encoder read it."""
    model = make(dropout=Dropouts(words=0.4, inputs=0.4))
    model._carries["train"] = model.encoder.initial_carry(2)
    reads = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: reads.append(inputs[0]))
    batch = window(4, reread=3, reread_next=3)
    torch.manual_seed(7)
    model.training_step(batch, 0)
    torch.manual_seed(7)
    assert [read.shape[1] for read in reads] == [4, 3]
    expected = model.dropout.embed(model.embedding, batch.tokens)
    assert torch.equal(torch.cat(reads, dim=1), expected)


def test_evaluation_drops_nothing():
    encoder = LSTM(3, 5, num_layers=2, dropout=0.5, variational=True, weight_dropout=0.5)
    model = make(encoder, dropout=Dropouts(0.5, 0.5, 0.5), penalty=ActivationPenalty())
    plain = make()
    plain.load_state_dict(model.state_dict())
    batch = window(6)
    first = model.training_step(batch, 0)
    model.on_train_epoch_start()
    assert model.training_step(batch, 0) != first
    model.eval(), plain.eval()
    for stage in (model, plain):
        stage.on_test_epoch_start()
        stage.test_step(batch, 0)
    assert model.evaluation.every.compute() == plain.evaluation.every.compute()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.filterwarnings("ignore")
def test_the_rate_goes_with_the_window_after_clipping(tmp_path, accumulate):
    """Each step of SGD moves the weights by lr * length / bptt * the clipped gradient."""
    rate, clip = 30.0, 0.02
    model = make(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=rate))
    batches = [window(7, 0.35), window(4, 0.2), window(23, 1.15), window(9, 0.45)]
    expected = make()
    for start in range(0, 4, accumulate):
        group = batches[start : start + accumulate]
        for batch in group:
            (expected.training_step(batch, 0) / accumulate).backward()
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in expected.parameters()))
        assert norm > clip
        factor = sum(batch.rate_factor for batch in group) / accumulate
        with torch.no_grad():
            for parameter in expected.parameters():
                parameter -= rate * factor * parameter.grad * clip / (norm + 1e-6)
        expected.zero_grad()
    updates = {"gradient_clip_val": clip, "accumulate_grad_batches": accumulate}
    trainer = quiet_trainer(max_epochs=1, default_root_dir=tmp_path, **updates)
    trainer.fit(model, DataLoader(batches, batch_size=None))
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert trainer.optimizers[0].param_groups[0]["lr"] == rate
