"""Binary trees whose leaves are the words of a vocabulary."""

import abc
import heapq

from pipeline.heads.class_softmax.assign import word_counts
from pipeline.text.vocabulary import Vocabulary

Joints = list[tuple[int, int]]
"""Inner node k joins two nodes: numbers below the size of the vocabulary are words, the size + j is
inner node j. An inner node joins nodes that come before it, so that the last one is the root."""


class WordTree(abc.ABC):
    """Arranges a vocabulary in a binary tree."""

    @abc.abstractmethod
    def join(self, vocabulary: Vocabulary) -> Joints:
        """Gives the two children of each inner node.

        Args:
            vocabulary: the token types.

        Returns:
            One pair fewer than there are words; each word and each inner node but the root is in
            one pair.

        Raises:
            ValueError: this vocabulary cannot be arranged so.
        """


class BalancedTree(WordTree):
    """All words at about the same depth, log2 of their number; neighbours have neighbouring ids.

    As even as the trees of Morin & Bengio (2005, "Hierarchical probabilistic neural network
    language model"), but grown from the order of ids instead of WordNet.
    """

    def join(self, vocabulary: Vocabulary) -> Joints:
        """See `WordTree.join`."""
        size = len(vocabulary)
        joints: Joints = []
        level = list(range(size))
        while len(level) > 1:
            odd = level[len(level) // 2 * 2 :]  # moves up a level alone
            pairs = list(zip(level[::2], level[1::2], strict=False))
            level = [*range(size + len(joints), size + len(joints) + len(pairs)), *odd]
            joints.extend(pairs)
        return joints


class HuffmanTree(WordTree):
    """The tree of the fewest decisions on average, from the counts of the words.

    Huffman (1952), as in Mikolov et al. (2013, arXiv 1310.4546, section 2.1). The two rarest nodes
    are joined; of equally rare ones, first words in the order of ids, then the nodes joined first,
    which keeps the tree as flat as its average allows.
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
