"""The adaptive softmax against torch's own, and its cut-offs."""

import pytest
import torch
from torch import nn

from pipeline.heads import AdaptiveSoftmax
from tests.examples import vocabulary
from tests.unit.pipeline.heads.layers import INPUT_SIZE, VOCAB_SIZE, make


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("cutoffs", "div_value"), [([6], 4.0), ([2, 5], 2.0), ([1, 4, 9], 1.5), ([1, 4, 9], 1.0)]
)
def test_is_torch_s_own_adaptive_softmax(cutoffs, div_value, bias):
    layer, states, targets = make(
        lambda size, words: AdaptiveSoftmax(size, words, cutoffs, div_value, bias)
    )
    if bias:
        with torch.no_grad():  # torch's tails have none
            for tail in layer.biases[1:]:
                tail.zero_()
    oracle = nn.AdaptiveLogSoftmaxWithLoss(
        INPUT_SIZE, VOCAB_SIZE, cutoffs, div_value, head_bias=bias
    ).double()
    theirs = [oracle.head.weight, *([oracle.head.bias] if bias else [])]
    ours = [layer.weights[0], *([layer.biases[0]] if bias else [])]
    for number, (projection, words) in enumerate(oracle.tail):
        theirs += [projection.weight, words.weight]
        ours += [layer.projections[number], layer.weights[number + 1]]
    with torch.no_grad():
        for one, other in zip(theirs, ours, strict=True):
            one.copy_(other)
    rows = states[:, :-1].reshape(-1, INPUT_SIZE)  # it knows no ignored targets
    expected = oracle(rows, targets[:, :-1].flatten()).output
    torch.testing.assert_close(layer.log_probs(states, targets)[:, :-1].flatten(), expected)
    torch.testing.assert_close(layer.log_distribution(rows), oracle.log_prob(rows))
    found = torch.autograd.grad(layer.loss(states, targets), [states, *ours])
    wanted = torch.autograd.grad(-expected.sum(), [states, *theirs])
    torch.testing.assert_close(found, wanted)


def test_biases_of_tails_are_added():
    layer, _, _ = make(lambda size, words: AdaptiveSoftmax(size, words, [10]))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.biases[0][10] = 2.0  # the tail against ten words
        layer.biases[1].copy_(torch.tensor([0.0, 1.0, 2.0]).log_softmax(0))
    e = torch.tensor(1.0).exp().item()
    chances = layer.log_distribution(torch.zeros(INPUT_SIZE).double()).exp().tolist()
    assert chances[:10] == pytest.approx([1 / (10 + e**2)] * 10)
    rest = e**2 / (10 + e**2) / (1 + e + e**2)
    assert chances[10:] == pytest.approx([rest, rest * e, rest * e**2])


@pytest.mark.parametrize(("size", "cutoffs"), [(10_000, [631, 3981]), (2, [1]), (3, [2])])
def test_default_cutoffs_are_powers_of_the_vocabulary(size, cutoffs):
    words = vocabulary(size)
    assert AdaptiveSoftmax(4, words).cutoffs == cutoffs


@pytest.mark.parametrize("cutoffs", [[], [0], [5, 3], [3, 3], [13], [3, 20], [-2, 3]])
def test_cutoffs_that_do_not_rise_within_the_vocabulary_are_told(cutoffs):
    message = "cutoffs must increase from at least 1 to less than the number of words, 13, got"
    with pytest.raises(ValueError, match=message):
        AdaptiveSoftmax(4, vocabulary(13), cutoffs)


def test_mistakes_are_told():
    words = vocabulary(4, [9, 5, 7, 1])
    message = r"but id 2 \('w2', 7 times\) is more frequent than id 1 \('<unk>', 5 times\)"
    with pytest.raises(ValueError, match=message):
        AdaptiveSoftmax(4, words)
    words.counts = None
    with pytest.raises(ValueError, match="an adaptive softmax needs the counts of the words"):
        AdaptiveSoftmax(4, words)
    with pytest.raises(ValueError, match=r"div_value must be at least 1, got 0\.5"):
        AdaptiveSoftmax(4, vocabulary(4), div_value=0.5)
    with pytest.raises(ValueError, match="no weight to share with an embedding"):
        AdaptiveSoftmax(4, vocabulary(4)).tie(nn.Embedding(4, 4))
