"""Laws that every decoder keeps."""

import math

import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders import CRF, ConstrainedSoftmax, Softmax
from pipeline.text.tags import Span, tag_set
from pipeline.text.tags import spans as spans_of
from tests.examples import check_gradients
from tests.unit.pipeline.decoders.examples import DECODERS, SIZE, batch, make

LENGTHS = [3, 0, 5, 1]


@pytest.mark.parametrize("name", DECODERS)
def test_batch_is_its_rows(name):
    decoder = make(name)
    states, targets, lengths = batch(LENGTHS)
    spans = [[Span("x", 0, 2), Span("y", 1, 3)], [], [Span("y", 2, 5)], [Span("x", 0, 1)]]
    marginals, decoded = decoder.marginals(states, lengths), decoder.decode(states, lengths)
    span_log_probs, total = decoder.span_log_probs(states, lengths, spans), 0.0
    for row, length in enumerate(LENGTHS):
        one, end = states[row : row + 1, : max(length, 1)], lengths[row : row + 1]
        total += decoder.loss(one, targets[row : row + 1, : max(length, 1)], end)
        torch.testing.assert_close(marginals[row, :length], decoder.marginals(one, end)[0, :length])
        assert decoder.decode(one, end)[0, :length].tolist() == decoded[row, :length].tolist()
        [alone] = decoder.span_log_probs(one, end, spans[row : row + 1])
        assert alone == pytest.approx(span_log_probs[row], rel=1e-12)
    torch.testing.assert_close(decoder.loss(states, targets, lengths), total)


@pytest.mark.parametrize("garbage", [1e30, math.inf, math.nan])
@pytest.mark.parametrize("name", DECODERS)
def test_padding_cannot_be_seen(name, garbage):
    def results(padding, target):
        decoder = make(name)
        states, targets, lengths = batch(LENGTHS)
        is_padding = torch.arange(5) >= lengths.unsqueeze(1)
        states[is_padding], targets[is_padding] = padding, target
        states.requires_grad_()
        loss = decoder.loss(states, targets, lengths)
        loss.backward()
        gradients = [parameter.grad for parameter in decoder.parameters()]
        assert states.grad[is_padding].abs().max() == 0
        marginals = decoder.marginals(states, lengths)[~is_padding]
        spans = decoder.span_log_probs(states, lengths, [[Span("x", 1, 3)], [], [], []])
        return loss, states.grad, gradients, marginals, spans, decoder.decode(states, lengths)

    torch.testing.assert_close(results(garbage, 10**9), results(0.0, IGNORE_INDEX), rtol=0, atol=0)


@pytest.mark.parametrize("name", DECODERS)
def test_empty_rows_are_harmless(name):
    decoder = make(name)
    states, targets, lengths = batch([0, 0])
    states.requires_grad_()
    loss = decoder.loss(states, targets, lengths)
    loss.backward()
    assert loss.item() == 0
    assert states.grad.abs().max() == 0
    assert all(parameter.grad.abs().max() == 0 for parameter in decoder.parameters())


@pytest.mark.parametrize("name", DECODERS)
def test_gradients(name):
    decoder = make(name, num_tags=3)
    states, targets, lengths = batch([3, 0, 1], num_tags=3)
    check_gradients(decoder, lambda states: decoder.loss(states, targets, lengths), states)


@pytest.mark.parametrize("name", DECODERS)
def test_every_parameter_gets_a_gradient(name):
    decoder = make(name)
    states, targets, lengths = batch([5, 5, 4, 5, 5, 3])
    decoder.loss(states, targets, lengths).backward()
    for key, parameter in decoder.named_parameters():
        assert (parameter.grad != 0).any(), key


@pytest.mark.parametrize("name", DECODERS)
def test_autocast_changes_nothing(name):
    decoder = make(name).float()
    states, targets, lengths = batch(LENGTHS)
    states = states.bfloat16()  # what an encoder gives under autocast
    spans = [[Span("x", 0, 2)], [], [Span("y", 2, 5)], []]

    def results():
        loss, marginals = decoder.loss(states, targets, lengths), decoder.marginals(states, lengths)
        assert loss.dtype == marginals.dtype == torch.float32
        span_log_probs = decoder.span_log_probs(states, lengths, spans)
        return loss, marginals, span_log_probs, decoder.decode(states, lengths)

    def gradients(loss):
        decoder.zero_grad()
        loss.backward()
        return [parameter.grad.clone() for parameter in decoder.parameters()]

    plain = results()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = results()
    torch.testing.assert_close(mixed, plain, rtol=0, atol=0)
    torch.testing.assert_close(gradients(mixed[0]), gradients(plain[0]), rtol=0, atol=0)


@pytest.mark.parametrize("name", DECODERS)
def test_long_sentences_stay_exact(name):
    """float32 sums over 2,000 tokens do not eat the digits of what is asked about one."""
    decoder = make(name)
    states = batch([1])[0].expand(1, 2000, SIZE)
    lengths, span = torch.tensor([2000]), [[Span("x", 1000, 1002)]]
    exact = decoder.marginals(states, lengths), decoder.span_log_probs(states, lengths, span)
    decoder.float()
    single = decoder.marginals(states, lengths), decoder.span_log_probs(states, lengths, span)
    torch.testing.assert_close(single[0], exact[0].float(), rtol=1e-5, atol=1e-6)
    assert single[1][0] == pytest.approx(exact[1][0], rel=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_inference_mode_and_no_buffers(name):
    decoder = make(name)
    states, _, lengths = batch(LENGTHS)
    with torch.inference_mode():
        marginals = decoder.marginals(states, lengths)
        decoder.decode(states, lengths)
        decoder.span_log_probs(states, lengths, [[Span("x", 0, 2)], [], [], []])
    torch.testing.assert_close(marginals, decoder.marginals(states, lengths).detach())
    # DDP sends buffers around before each forward pass, which ranks need not do equally often.
    assert list(decoder.buffers()) == []


def test_constrained_softmax_takes_the_parameters_of_a_softmax():
    trained, constrained = make("softmax"), make("constrained", seed=1)
    constrained.load_state_dict(trained.state_dict())
    states, targets, lengths = batch(LENGTHS)
    loss = constrained.loss(states, targets, lengths)
    torch.testing.assert_close(loss, trained.loss(states, targets, lengths))


@pytest.mark.parametrize("decoder_class", [Softmax, ConstrainedSoftmax, CRF])
def test_labels(decoder_class):
    """Labels have no constraints and no "O": all decoders take them."""
    torch.manual_seed(0)
    decoder, (states, targets, lengths) = decoder_class(SIZE, ["NN", "I-1", "VB"]), batch([4, 2], 3)
    states = states.float()
    free = Softmax(SIZE, tag_set("x"), outside_weight=1.0)
    free.linear.load_state_dict(decoder.linear.state_dict())
    if decoder_class is CRF:
        for scores in (decoder.transitions, decoder.starts, decoder.ends):
            torch.nn.init.zeros_(scores)
    assert decoder.decode(states, lengths).tolist() == free.decode(states, lengths).tolist()
    loss = decoder.loss(states, targets, lengths)
    torch.testing.assert_close(loss, free.loss(states, targets, lengths))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"^input_size of a decoder must be at least 1, got 0$"):
        CRF(0, tag_set("x"))
    with pytest.raises(ValueError, match=r"^a decoder needs at least one tag, got none$"):
        Softmax(1, [])
    for weight in (-0.5, math.nan):
        with pytest.raises(ValueError, match=rf"^outside_weight must be at least 0, got {weight}$"):
            ConstrainedSoftmax(1, tag_set("x"), outside_weight=weight)


def test_spans_are_scored_alike_in_parts(monkeypatch):
    torch.manual_seed(1)
    decoder = CRF(4, ("O", "B-X", "I-X", "B-Y", "I-Y"), constrained=False)
    states, lengths = torch.randn(3, 9, 4) * 3, torch.tensor([9, 4, 7])
    whole = decoder.predict(states, lengths, spans_of).log_probs
    monkeypatch.setattr("pipeline.decoders.spans._MAX_NUMBERS", 1)
    assert decoder.predict(states, lengths, spans_of).log_probs == whole
    assert sum(map(len, whole)) > 5
