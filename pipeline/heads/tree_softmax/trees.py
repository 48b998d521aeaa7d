"""Binary trees whose leaves are the words of a vocabulary."""

import abc
import heapq

from pipeline.heads.class_softmax.assign import word_counts
from pipeline.text.vocabulary import Vocabulary

Joints = list[tuple[int, int]]
"""The two children of each inner node. Numbers below the vocabulary size are words; vocabulary size
+ j is inner node j. Children come before their parent, so that the last inner node is the root."""


class WordTree(abc.ABC):
    """Abstract base class of rules that arrange a vocabulary in a binary tree."""

    @abc.abstractmethod
    def join(self, vocabulary: Vocabulary) -> Joints:
        """Returns the two children of each inner node, one pair fewer than there are words.

        Each word and each inner node except the root is in exactly one pair.

        Raises:
            ValueError: If this rule cannot arrange the vocabulary.
        """


class BalancedTree(WordTree):
    """A balanced tree: all words at a depth of about log2(vocabulary), in the order of their ids.

    The trees of Morin & Bengio (2005, "Hierarchical probabilistic neural network language model")
    are balanced, too, but built from WordNet instead of the order of ids.

    Example:
        >>> BalancedTree().join(Vocabulary(["<eos>", "<unk>", "the", "cat"]))
        [(0, 1), (2, 3), (4, 5)]
    """

    def join(self, vocabulary: Vocabulary) -> Joints:
        """See `WordTree.join`."""
        size = len(vocabulary)
        joints: Joints = []
        level = list(range(size))
        while len(level) > 1:
            odd = level[len(level) // 2 * 2 :]  # a single node moves up one level
            pairs = list(zip(level[::2], level[1::2], strict=False))
            level = [*range(size + len(joints), size + len(joints) + len(pairs)), *odd]
            joints.extend(pairs)
        return joints


class HuffmanTree(WordTree):
    """A Huffman tree of the word counts, which has the fewest decisions per token on average.

    Huffman (1952), as in Mikolov et al. (2013, arXiv 1310.4546, section 2.1). The two rarest nodes
    are joined repeatedly. Ties are broken in favor of words, in the order of ids, then of older
    inner nodes, which gives the smallest depth among the optimal trees.

    Example:
        >>> HuffmanTree().join(Vocabulary(["<eos>", "<unk>", "the", "cat"], counts=[9, 1, 4, 2]))
        [(1, 3), (4, 2), (5, 0)]
    """

    def join(self, vocabulary: Vocabulary) -> Joints:
        """See `WordTree.join`."""
        size = len(vocabulary)
        counts = word_counts(vocabulary, "a Huffman tree")
        waiting = [(count, number) for number, count in enumerate(counts)]
        heapq.heapify(waiting)
        joints: Joints = []
        while len(waiting) > 1:
            first, one = heapq.heappop(waiting)
            second, other = heapq.heappop(waiting)
            heapq.heappush(waiting, (first + second, size + len(joints)))
            joints.append((one, other))
        return joints
