"""The language model against its formula, token by token."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from datamodules.language_model.streams import Streams
from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.cuda_graphs.replay import cuda_graphs
from pipeline.encoders import GRU, LSTM
from pipeline.heads import (
    AdaptiveSoftmax,
    ClassSoftmax,
    FullSoftmax,
    HierarchicalSoftmax,
    Sampled,
)
from pipeline.regularization import ActivationPenalty, Dropouts
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tests.examples import quiet_trainer, vocabulary
from tests.recordings import record_on_the_cpu


def make(**settings):
    torch.manual_seed(0)
    return LanguageModel(LSTM(3, 5, num_layers=2), vocabulary=vocabulary(7), **settings).double()


def windows(stream, length, targets_per_rank=None):
    tokens, targets = stream[:, :-1], stream[:, 1:]
    for start in range(0, tokens.shape[1], length):
        piece = slice(start, start + length)
        count = (targets[:, piece] != IGNORE_INDEX).sum().item()
        yield StreamWindow(tokens[:, piece], targets[:, piece], count)


@torch.no_grad()
def nll_by_hand(model, ids):
    """One token at a time, through the parts alone: -log softmax(W h + b)."""
    carry, total = None, 0.0
    for token, target in itertools.pairwise(ids):
        inputs = model.embedding.weight[token].reshape(1, 1, -1)
        states, carry = model.encoder(inputs, carry=carry)
        logits = model.head.weight @ states[0, 0] + model.head.bias
        total += math.log(torch.exp(logits).sum().item()) - logits[target].item()
    return total / (len(ids) - 1)


@pytest.mark.parametrize("length", [1, 4, 100])
def test_perplexity_is_the_formula(length):
    model = make().eval()
    ids = torch.randint(7, (1, 60))
    model.on_test_epoch_start()
    for index, window in enumerate(windows(ids, length)):
        model.test_step(window, index)
    assert model.evaluation.every.compute().item() == pytest.approx(
        nll_by_hand(model, ids[0].tolist())
    )
    assert model.evaluation.every.count == 59


@pytest.mark.parametrize(("bias", "is_noted"), [(100.0, False), (1e6, True)])
def test_an_infinite_perplexity_is_noted(capsys, bias, is_noted):
    """A network that has diverged: all of the probability is on a word that never comes."""
    model = make()
    model.head.bias.data[3] = bias
    ids = torch.randint(3, (1, 60))
    loader = DataLoader(list(windows(ids, 20)), batch_size=None)
    quiet_trainer().test(model, loader, verbose=False)
    note = (
        "note: test/perplexity is infinite (mean nll 1e+06 nats per token): training has diverged"
    )
    assert (note in capsys.readouterr().err) == is_noted


def test_training_carries_the_memory_but_not_the_gradient():
    model = make()
    stream = torch.randint(7, (2, 13))
    first, second = windows(stream, 6)
    model.training_step(first, 0)
    loss = model.training_step(second, 1)
    with torch.no_grad():
        carry = model.encoder(model.embedding(first.tokens)).carry
    states = model.encoder(model.embedding(second.tokens), carry=carry).states
    logits = model.head.log_distribution(states).flatten(0, 1)
    expected = nn.functional.nll_loss(logits, second.targets.flatten())
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for ours, theirs in zip(
        gradients, torch.autograd.grad(expected, list(model.parameters())), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("bptt", "reread"), [(1, 0), (1, 2), (3, 2), (2, 5)])
def test_the_gradient_goes_back_to_where_reading_began_again(bptt, reread):
    """The toolkit's blocks: what came before is a constant, all after it is one graph."""
    model = make()
    ids = np.random.default_rng(0).integers(7, size=17).astype(np.int32)
    whole = torch.tensor([0, *ids.tolist()])
    for index, window in enumerate(Streams(ids, 0, 1, bptt, reread=reread)):
        model.zero_grad()
        model.training_step(window, index).backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters()]

        model.zero_grad()
        start, carry = max(index * bptt - reread, 0), None
        with torch.no_grad():
            if start:
                carry = model(whole[None, :start])[1]
        end = min((index + 1) * bptt, len(ids))
        states, _ = model(whole[None, start:end], carry)
        log_probs = model.head.log_distribution(states[0, index * bptt - start :])
        nn.functional.nll_loss(log_probs, whole[1:][index * bptt : end]).backward()
        for ours, theirs in zip(gradients, model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs.grad)


def test_a_new_epoch_forgets():
    model = make()
    (window,) = windows(torch.randint(7, (2, 7)), 6)
    first = model.training_step(window, 0)
    assert model.training_step(window, 1) != first
    model.on_train_epoch_start()
    assert model.training_step(window, 0) == first


def test_validation_leaves_the_training_stream_alone():
    model = make()
    first, second = windows(torch.randint(7, (2, 13)), 6)
    model.training_step(first, 0)
    expected = model.training_step(second, 1)
    model.on_train_epoch_start()
    model.training_step(first, 0)
    model.on_validation_epoch_start()
    model.validation_step(second, 0)
    assert model.training_step(second, 1) == expected


def test_ended_columns_weigh_nothing():
    model = make()
    stream = torch.randint(7, (2, 7))
    targets = stream[:, 1:].clone()
    targets[1, 4:] = IGNORE_INDEX
    window = StreamWindow(stream[:, :-1], targets, 10.0)
    states, _ = model(window.tokens)
    log_probs = model.head.log_distribution(states)
    real = [(row, t) for row in range(2) for t in range(6) if targets[row, t] != IGNORE_INDEX]
    expected = -sum(log_probs[row, t, targets[row, t]] for row, t in real) / 10
    torch.testing.assert_close(model.training_step(window, 0), expected)


def test_tied_weights_are_one_matrix():
    model = LanguageModel(LSTM(5, 5), vocabulary=vocabulary(7), tie_weights=True)
    assert model.head.weight is model.embedding.weight
    with pytest.raises(ValueError, match=r"(?s)3.*5"):
        LanguageModel(LSTM(3, 5), vocabulary=vocabulary(7), tie_weights=True)


def test_refuses_to_see_the_future():
    with pytest.raises(ValueError, match="needs a causal encoder"):
        LanguageModel(GRU(3, 5, bidirectional=True), vocabulary=vocabulary(7))
    pretender = GRU(3, 5, bidirectional=True)
    pretender.is_causal = True
    with pytest.raises(ValueError, match=r"GRU declares is_causal.* it predicts"):
        LanguageModel(pretender, vocabulary=vocabulary(7))


def test_dropout_is_off_in_evaluation_and_on_in_training():
    model = make(dropout=0.5)
    tokens = torch.randint(7, (2, 6))
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


@pytest.mark.parametrize(("clip", "algorithm"), [(0.05, "norm"), (0.001, "value")])
def test_the_trainer_clips(tmp_path, clip, algorithm):
    """One SGD step at rate 1 moves the weights by the clipped gradient, retyped here."""
    model = LanguageModel(
        LSTM(3, 5),
        vocabulary=vocabulary(7),
        head=FullSoftmax,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
    )
    (window,) = windows(torch.randint(7, (2, 7)), 6)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.training_step(window, 0).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    if algorithm == "norm":
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        assert norm > clip
        clipped = {name: g * clip / (norm + 1e-6) for name, g in gradients.items()}
    else:
        clipped = {name: g.clamp(-clip, clip) for name, g in gradients.items()}
    clipping = {"gradient_clip_val": clip, "gradient_clip_algorithm": algorithm}
    trainer = quiet_trainer(max_steps=1, default_root_dir=tmp_path, **clipping)
    trainer.fit(model, DataLoader([window], batch_size=None))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] - clipped[name])


HEADS = [FullSoftmax, ClassSoftmax, HierarchicalSoftmax, AdaptiveSoftmax, Sampled]


@pytest.mark.parametrize("reread", [0, 2])
@pytest.mark.parametrize("head", HEADS)
def test_recorded_training_is_bit_identical(head, reread, monkeypatch):
    made = record_on_the_cpu(monkeypatch)
    found = []
    for recorded in (False, True):
        torch.manual_seed(1)
        model = LanguageModel(
            LSTM(8, 8, num_layers=2, dropout=0.2, weight_dropout=0.3),
            Vocabulary(["<eos>", "<unk>", *(f"w{i}" for i in range(38))], range(40, 0, -1)),
            head=head,
            dropout=Dropouts(words=0.1, inputs=0.2, outputs=0.3),
            penalty=ActivationPenalty(),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        losses = []
        for tokens in torch.randint(40, (9, 3, 6)):
            targets = tokens.roll(-1, 1)[:, reread:]
            window = StreamWindow(tokens, targets, float(targets.numel()), reread_next=reread)
            with cuda_graphs(recorded):
                loss = model.training_step(window, 0)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        found.append([torch.stack(losses), *(each.detach() for each in model.parameters())])
        assert len(made) == recorded
    for plain, replayed in zip(*found, strict=True):
        assert torch.equal(plain, replayed)


def test_loaded_weights_are_not_replayed_with_old_tables(monkeypatch):
    made = record_on_the_cpu(monkeypatch)
    model = make(head=HierarchicalSoftmax)
    tokens = torch.randint(5, (2, 3))
    window = StreamWindow(tokens, tokens, 6.0)
    for number in (1, 2):
        for _ in range(4):
            with cuda_graphs(True):
                model.training_step(window, 0).backward()
        assert len(made) == number
        model.load_state_dict(model.state_dict())


def test_the_parts_of_a_user_are_not_recorded(monkeypatch):
    class Mine(nn.Dropout):
        pass

    made = record_on_the_cpu(monkeypatch)
    model = make()
    model.dropout.outputs = Mine(0.5)
    for tokens in torch.randint(5, (5, 2, 3)):
        with cuda_graphs(True):
            model.training_step(StreamWindow(tokens, tokens, 6.0), 0).backward()
    assert not made
