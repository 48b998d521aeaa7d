"""Trees by hand, and the hierarchical softmax against a walk in plain Python."""

import math

import pytest
import torch
from torch import nn

from pipeline.heads import BalancedTree, HierarchicalSoftmax, HuffmanTree
from tests.examples import vocabulary
from tests.unit.pipeline.heads.layers import VOCAB_SIZE, ZIPF, make


def walk(joints, size, node=None, turns=()):
    """The (inner node, sign) on the way to each word, by recursion from the root."""
    node = size + len(joints) - 1 if node is None else node
    if node < size:
        return {node: list(turns)}
    first, second = joints[node - size]
    left = walk(joints, size, first, (*turns, (node - size, 1)))
    return left | walk(joints, size, second, (*turns, (node - size, -1)))


@pytest.mark.parametrize("tree", [HuffmanTree(), BalancedTree()])
def test_distribution_is_a_walk_in_plain_python(tree):
    layer, states, _ = make(lambda size, words: HierarchicalSoftmax(size, words, tree))
    paths = walk(tree.join(vocabulary(VOCAB_SIZE, ZIPF)), VOCAB_SIZE)
    state = states[1, 2].tolist()
    expected = []
    for word in range(VOCAB_SIZE):
        chance = 1.0
        for node, sign in paths[word]:
            weights, bias = layer.weight[node].tolist(), layer.bias[node].item()
            score = sum(w * s for w, s in zip(weights, state, strict=True)) + bias
            chance /= 1 + math.exp(-sign * score)
        expected.append(chance)
    assert layer.log_distribution(states)[1, 2].exp().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("size", [2, 3, 6, 10, 13, 22, 40])
@pytest.mark.parametrize("tree", [HuffmanTree(), BalancedTree()])
def test_the_distribution_is_that_of_the_paths_for_any_size(tree, size):
    """With 6, 10 and 22 words the nodes of a level of `BalancedTree` are in no order."""
    torch.manual_seed(size)
    layer = HierarchicalSoftmax(4, vocabulary(size), tree, init_scale=2.0).double()
    states, targets = torch.randn(size, 4, dtype=torch.float64), torch.arange(size)
    found = layer.log_distribution(states).gather(1, targets.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found, layer.log_probs(states, targets))


def test_huffman_by_hand():
    words = vocabulary(5, [15, 7, 6, 6, 5])  # the example of many textbooks: 39 symbols in 87 bits
    paths = walk(HuffmanTree().join(words), 5)
    assert sum(len(paths[i]) * c for i, c in enumerate(words.counts)) == 87


def test_ties_go_to_words_in_order_and_then_to_older_nodes():
    assert HuffmanTree().join(vocabulary(4, [1, 1, 1, 1])) == [(0, 1), (2, 3), (4, 5)]
    assert HuffmanTree().join(vocabulary(4, [2, 1, 1, 2])) == [(1, 2), (0, 3), (4, 5)]


def shortest(counts):
    """The least number of bits: Huffman's recursion on counts alone, by sorting."""
    counts, bits = sorted(counts), 0
    while len(counts) > 1:
        joined = counts[0] + counts[1]
        bits += joined
        counts = sorted([joined, *counts[2:]])
    return bits


@pytest.mark.parametrize("size", [2, 3, 13, 100])
def test_huffman_is_shortest_and_within_a_bit_of_the_entropy(size):
    counts = [int(1000 / rank) for rank in range(1, size + 1)]
    paths = walk(HuffmanTree().join(vocabulary(size, counts)), size)
    bits = sum(len(paths[word]) * count for word, count in enumerate(counts))
    assert bits == shortest(counts)
    total = sum(counts)
    entropy = -sum(count / total * math.log2(count / total) for count in counts)
    assert entropy <= bits / total < entropy + 1


@pytest.mark.parametrize("size", [2, 3, 5, 8, 13, 33])
def test_balanced_tree_is_as_flat_as_can_be_and_in_order(size):
    paths = walk(BalancedTree().join(vocabulary(size)), size)
    assert max(len(path) for path in paths.values()) == math.ceil(math.log2(size))
    assert list(paths) == list(range(size))  # from left to right


def test_words_that_never_occur_have_a_place():
    layer = HierarchicalSoftmax(3, vocabulary(5, [3, 0, 0, 0, 0]))
    assert layer.log_distribution(torch.zeros(3)).exp().sum().item() == pytest.approx(1)


def test_the_tree_comes_from_the_checkpoint():
    """The state dict takes precedence over the vocabulary."""
    first, states, targets = make(HierarchicalSoftmax)
    second = make(lambda size, words: HierarchicalSoftmax(size, words, BalancedTree()))[0]
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.log_probs(states, targets), first.log_probs(states, targets))
    torch.testing.assert_close(second.loss(states, targets), first.loss(states, targets))
    assert torch.equal(second.log_distribution(states), first.log_distribution(states))


def test_nodes_off_the_way_get_no_gradient():
    layer, states, targets = make(HierarchicalSoftmax, rows=(1, 2))
    targets[0, 0] = 4
    layer.loss(states, targets).backward()
    path = walk(HuffmanTree().join(vocabulary(VOCAB_SIZE, ZIPF)), VOCAB_SIZE)[4]
    touched = layer.weight.grad.any(1).nonzero().squeeze(1).tolist()
    assert touched == sorted(node for node, _ in path)


def test_mistakes_are_told():
    words = vocabulary(4)
    with pytest.raises(ValueError, match="no word weights to share with an embedding"):
        HierarchicalSoftmax(3, words).tie(nn.Embedding(4, 3))
    with pytest.raises(ValueError, match="init_scale must be above 0, got 0"):
        HierarchicalSoftmax(3, words, init_scale=0)
    words.counts = None
    with pytest.raises(ValueError, match="a Huffman tree needs the counts of the words"):
        HierarchicalSoftmax(3, words)
    assert HierarchicalSoftmax(3, words, BalancedTree()).vocab_size == 4
