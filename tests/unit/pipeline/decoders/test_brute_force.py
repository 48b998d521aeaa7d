"""Decoders against the enumeration of all tag sequences, by formulas retyped here."""

import itertools
import math

import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders import CRF, Decoder
from pipeline.text.tags import Span, count_malformed, spans, strict_spans
from tests.unit.pipeline.decoders.examples import DECODERS, TAGS, batch, make

CASES = [(name, num_tags) for name in DECODERS for num_tags in TAGS]
LENGTHS = [5, 1, 0, 4, 2]


def enumerated(decoder, states):
    """All tag sequences over one row's real states, and the log-probability of each."""
    logits = states @ decoder.linear.weight.T + decoder.linear.bias
    num_tags, time = len(decoder.tags), len(states)
    paths = torch.tensor(list(itertools.product(range(num_tags), repeat=time)))
    if not hasattr(decoder, "transitions"):
        log_probs = logits - logits.exp().sum(-1, keepdim=True).log()
        return paths, sum(log_probs[t, paths[:, t]] for t in range(time))
    scores = decoder.starts[paths[:, 0]] + decoder.ends[paths[:, -1]]
    for t in range(time):
        scores = scores + logits[t, paths[:, t]]
    for t in range(time - 1):
        scores = scores + decoder.transitions[paths[:, t], paths[:, t + 1]]
    return paths, scores - scores.exp().sum().log()


def rows(decoder, num_tags):
    """The batch, and (row, length, paths, log-probabilities) of each row that is not empty."""
    states, targets, lengths = batch(LENGTHS, num_tags)
    real = [
        (row, length, *enumerated(decoder, states[row, :length]))
        for row, length in enumerate(LENGTHS)
        if length
    ]
    return states, targets, lengths, real


@pytest.mark.parametrize(("name", "num_tags"), CASES)
def test_loss(name, num_tags):
    decoder = make(name, num_tags)
    states, targets, lengths, real = rows(decoder, num_tags)
    expected = 0.0
    for row, length, paths, log_probs in real:
        gold = targets[row, :length]
        if "crf" in name:
            expected -= log_probs[(paths == gold).all(1)].sum().item()
            continue
        for t, tag in enumerate(gold.tolist()):
            weight = 0.5 if decoder.tags[tag] == "O" else 1.0
            expected -= weight * log_probs[paths[:, t] == tag].exp().sum().log().item()
    assert (targets == 0).any()  # "O" is weighted somewhere
    assert decoder.loss(states, targets, lengths).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "num_tags"), CASES)
def test_decode(name, num_tags):
    differ = 0
    for seed in range(5):
        decoder = make(name, num_tags, seed)
        states, _, lengths, real = rows(decoder, num_tags)
        decoded = decoder.decode(states, lengths)
        for row, length, paths, log_probs in real:
            free = paths[log_probs.argmax()]
            if name in ("constrained", "crf"):
                tags = [[decoder.tags[i] for i in path] for path in paths.tolist()]
                malformed = torch.tensor([count_malformed(path) > 0 for path in tags])
                log_probs = log_probs.masked_fill(malformed, -math.inf)
            best = paths[log_probs.argmax()]
            differ += not torch.equal(best, free)
            padding = [IGNORE_INDEX] * (decoded.shape[1] - length)
            assert decoded[row].tolist() == best.tolist() + padding
        assert decoded[LENGTHS.index(0)].unique().tolist() == [IGNORE_INDEX]
    assert (differ > 0) == (name in ("constrained", "crf"))  # constraints did something


@pytest.mark.parametrize(("name", "num_tags"), CASES)
def test_marginals(name, num_tags):
    decoder = make(name, num_tags)
    states, _, lengths, real = rows(decoder, num_tags)
    marginals = decoder.marginals(states, lengths)
    for row, length, paths, log_probs in real:
        one_hot = torch.nn.functional.one_hot(paths, num_tags).double()
        expected = torch.einsum("p,ptk->tk", log_probs.exp(), one_hot)
        torch.testing.assert_close(marginals[row, :length], expected)


@pytest.mark.parametrize(("name", "num_tags"), CASES)
def test_span_log_probs(name, num_tags):
    decoder = make(name, num_tags)
    states, _, lengths, real = rows(decoder, num_tags)
    read = strict_spans if name in ("constrained", "crf") else spans
    expected = [[] for _ in LENGTHS]
    asked = [[] for _ in LENGTHS]
    for row, length, paths, log_probs in real:
        found = [set(read([decoder.tags[i] for i in path])) for path in paths.tolist()]
        for start, end in itertools.combinations(range(length + 1), 2):
            for label in "xy"[: num_tags // 2]:
                span = Span(label, start, end)
                holds = torch.tensor([span in one for one in found])
                asked[row].append(span)
                expected[row].append(log_probs[holds].exp().sum().log().item())
    results = decoder.span_log_probs(states, lengths, asked)
    assert [len(row) for row in results] == [len(row) for row in asked]
    for result, right in zip(results, expected, strict=True):
        assert result == pytest.approx(right, rel=1e-10)


@pytest.mark.parametrize("name", ["softmax", "constrained", "crf"])
def test_labels_are_spans_of_one_token(name):
    labels = ("DT", "NN", "VB")
    decoder = DECODERS[name](4, labels).double()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter)
    states, _, lengths, real = rows(decoder, 3)
    for row, length, paths, log_probs in real:
        asked = [[] for _ in LENGTHS]
        asked[row] = [Span("NN", t, t + 1) for t in range(length)]
        expected = [log_probs[paths[:, t] == 1].exp().sum().log().item() for t in range(length)]
        assert decoder.span_log_probs(states, lengths, asked)[row] == pytest.approx(expected)


@pytest.mark.parametrize("name", DECODERS)
def test_no_spans_and_unknown_types(name):
    decoder = make(name)
    states, _, lengths = batch([2, 0])
    assert decoder.span_log_probs(states, lengths, [[], []]) == [[], []]
    message = "^the label of a span must have B- and I- tags, got 'z' and the tags O, B-x, "
    with pytest.raises(ValueError, match=message):
        decoder.span_log_probs(states, lengths, [[Span("z", 0, 1)], []])


def test_a_missed_span_costs():
    """-log of exp(gold score) over the sum of exp(score + cost * missed tokens), enumerated."""
    torch.manual_seed(3)
    cost, tags = 0.7, ("O", "B-x", "I-x")
    plain = CRF(2, tags).double()
    costly = CRF(2, tags, miss_cost=cost).double()
    costly.load_state_dict(plain.state_dict())
    states, gold = torch.randn(1, 4, 2, dtype=torch.float64), (0, 1, 2, 0)
    emitted = plain.linear(states)[0]

    def score(path):
        total = plain.starts[path[0]] + plain.ends[path[-1]]
        total = total + sum(emitted[step, tag] for step, tag in enumerate(path))
        return float(
            (total + sum(plain.transitions[a, b] for a, b in itertools.pairwise(path))).detach()
        )

    terms = [
        math.exp(score(path) + cost * sum(t == 0 != g for t, g in zip(path, gold, strict=True)))
        for path in itertools.product(range(3), repeat=4)
    ]
    expected = math.log(sum(terms)) - score(gold)
    arguments = (states, torch.tensor([gold]), torch.tensor([4]))
    assert float(costly.loss(*arguments).detach()) == pytest.approx(expected, rel=1e-12)
    assert float(plain.loss(*arguments).detach()) < expected


@pytest.mark.parametrize(("name", "num_tags"), CASES)
def test_nll_of_rows(name, num_tags):
    """Without weights and costs; also of a decoder that has only a loss."""
    decoder = make(name, num_tags)
    states, targets, lengths, real = rows(decoder, num_tags)
    found = decoder.nll(states, targets, lengths)
    expected = torch.zeros_like(found)
    for row, length, paths, log_probs in real:
        expected[row] = -log_probs[(paths == targets[row, :length]).all(1)].sum()
    torch.testing.assert_close(found, expected)
    losses = Decoder.nll(decoder, states, targets, lengths)
    assert losses.sum().item() == pytest.approx(decoder.loss(states, targets, lengths).item())
