"""The class-based softmax against its formula in plain Python, and its classes by hand."""

import math

import pytest
import torch
from torch import nn

from pipeline.heads import ClassSoftmax, FrequencyBins, SquareRootBins
from tests.examples import vocabulary
from tests.unit.pipeline.heads.layers import VOCAB_SIZE, ZIPF, ByHand, make

SCATTERED = (2, 0, 1, 1, 2, 0, 3, 2, 2, 4, 4, 1, 2)


def softmax(scores):
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def test_distribution_is_the_formula_in_plain_python():
    layer, states, _ = make(lambda size, words: ClassSoftmax(size, words, ByHand(*SCATTERED)))
    state = states[1, 2].tolist()

    def score(weights, bias):
        return sum(w * s for w, s in zip(weights, state, strict=True)) + bias

    classes = softmax(
        [
            score(weights, bias)
            for weights, bias in zip(
                layer.class_weight.tolist(), layer.class_bias.tolist(), strict=True
            )
        ]
    )
    expected = []
    for word, own in enumerate(SCATTERED):
        mates = [other for other in range(VOCAB_SIZE) if SCATTERED[other] == own]
        within = softmax([score(layer.weight[m].tolist(), layer.bias[m].item()) for m in mates])
        expected.append(classes[own] * within[mates.index(word)])
    assert layer.log_distribution(states)[1, 2].exp().tolist() == pytest.approx(expected)


def test_one_class_is_the_full_softmax():
    layer, states, _ = make(lambda size, words: ClassSoftmax(size, words, FrequencyBins(1)))
    full = nn.functional.linear(states, layer.weight, layer.bias).log_softmax(-1)
    torch.testing.assert_close(layer.log_distribution(states), full)


def toolkit(counts, num, power):
    """The loop of rnnlm 0.4b, for words that are sorted by frequency."""
    total = sum(count**power for count in counts)
    classes, reached, current = [], 0.0, 0
    for count in counts:
        reached = min(reached + count**power / total, 1)
        classes.append(current)
        if reached > (current + 1) / num and current < num - 1:
            current += 1
    return classes


@pytest.mark.parametrize("num", [1, 2, 3, 5, 13])
@pytest.mark.parametrize(("bins", "power"), [(FrequencyBins, 1), (SquareRootBins, 0.5)])
def test_bins_are_those_of_the_rnnlm_toolkit(bins, power, num):
    words = vocabulary(VOCAB_SIZE, ZIPF)
    assert bins(num).assign(words) == toolkit(ZIPF, num, power)


def test_bins_by_hand():
    words = vocabulary(6, [50, 20, 10, 10, 9, 1])
    assert FrequencyBins(2).assign(words) == [0, 0, 1, 1, 1, 1]  # 0.5 is not above 1/2, 0.7 is
    assert FrequencyBins(4).assign(words) == [0, 1, 2, 3, 3, 3]
    words = vocabulary(5, [16, 9, 4, 1, 1])  # square roots 4 3 2 1 1 of 11
    assert SquareRootBins(2).assign(words) == [0, 0, 1, 1, 1]


def test_words_are_sorted_by_frequency_first():
    assert FrequencyBins(2).assign(vocabulary(6, [1, 10, 9, 50, 20, 10])) == [1, 1, 1, 0, 0, 1]


def test_default_number_of_classes_is_the_root_of_the_vocabulary():
    words = vocabulary(100, [1] * 100)
    assert max(FrequencyBins().assign(words)) + 1 == 10
    assert len(ClassSoftmax(3, words).class_weight) == 10


def test_classes_come_from_the_checkpoint():
    """The state dict takes precedence over the vocabulary."""
    first, states, targets = make(lambda size, words: ClassSoftmax(size, words, ByHand(*SCATTERED)))
    second = make(lambda size, words: ClassSoftmax(size, words, ByHand(*sorted(SCATTERED))))[0]
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.log_probs(states, targets), first.log_probs(states, targets))
    torch.testing.assert_close(second.loss(states, targets), first.loss(states, targets))


def test_portable_configuration_has_the_classes_of_the_checkpoint():
    layer = make(lambda size, words: ClassSoftmax(size, words, ByHand(*SCATTERED)))[0]
    spec = {"class_path": "pipeline.heads.ClassSoftmax", "init_args": {"bias": False}}
    portable = ClassSoftmax.portable(spec, layer.state_dict())
    assert portable["class_path"] == spec["class_path"]
    assert portable["init_args"]["bias"] is False
    stored = portable["init_args"]["classes"]
    assert stored.assign(vocabulary(VOCAB_SIZE)) == list(SCATTERED)
    with pytest.raises(ValueError, match="the classes of 13 words, but the vocabulary has 4 words"):
        stored.assign(vocabulary(4))


def test_classes_without_a_target_get_no_gradient():
    layer, states, targets = make(
        lambda size, words: ClassSoftmax(size, words, ByHand(*SCATTERED)), rows=(1, 2)
    )
    targets[0, 0] = 1  # class 0, with word 5
    layer.loss(states, targets).backward()
    assert layer.weight.grad.any(1).nonzero().squeeze(1).tolist() == [1, 5]


def test_tied_layers_share_one_matrix():
    layer, states, targets = make(lambda size, words: ClassSoftmax(size, words, ByHand(*SCATTERED)))
    embedding = nn.Embedding(VOCAB_SIZE, 5).double()
    layer.tie(embedding)
    assert layer.weight is embedding.weight
    layer.loss(states, targets).backward()
    (expected,) = torch.autograd.grad(-layer.log_probs(states, targets).sum(), embedding.weight)
    torch.testing.assert_close(embedding.weight.grad, expected)
    with pytest.raises(ValueError, match="the embedding is 12 x 5 and the output layer is 13 x 5"):
        layer.tie(nn.Embedding(12, 5))


def test_mistakes_are_told():
    words = vocabulary(4, [4, 3, 2, 1])
    with pytest.raises(
        ValueError, match="num, the number of word classes, must be at least 1, got"
    ):
        FrequencyBins(0)
    with pytest.raises(ValueError, match="must be at least 1, got -1"):
        SquareRootBins(-1)
    with pytest.raises(ValueError, match="must be at most the number of words, 4, got 5"):
        ClassSoftmax(3, words, FrequencyBins(5))
    words.counts = None
    with pytest.raises(ValueError, match="needs the counts of the words in the training text"):
        ClassSoftmax(3, words)
    with pytest.raises(ValueError, match="init_scale must be above 0, got -1"):
        ClassSoftmax(3, vocabulary(4), init_scale=-1)
