"""The hierarchical softmax: a word is a path of binary decisions through a tree."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_shapes,
    exact_linear,
    in_chunks,
    on_device,
    placed,
)
from pipeline.heads.tree_softmax.on_device import padded_scores
from pipeline.heads.tree_softmax.paths import Paths, path_nll, step_scores
from pipeline.heads.tree_softmax.trees import HuffmanTree, WordTree
from pipeline.text.vocabulary import Vocabulary


class HierarchicalSoftmax(OutputLayer):
    """The hierarchical softmax over a binary tree of words.

    p(word | state) is the product of sigmoid(sign (weight state + bias)) over the inner nodes on
    the path to the word. Morin & Bengio (2005, "Hierarchical probabilistic neural network language
    model"); Mikolov et al. (2013, arXiv 1310.4546, eq. 3). It is exact, normalized by construction,
    and trains faster than the other exact layers: a word takes about log2(vocabulary) decisions.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted.
        tree: Rule that arranges the words in a tree; `HuffmanTree()` if None.
        bias: Whether each inner node has a bias.
        init_scale: Bound of the uniform initial weights and biases.

    Raises:
        ValueError: If `input_size` is below 1, `init_scale` is not above 0, or the rule cannot
            arrange the vocabulary.

    Attributes:
        paths: The tree; part of the state dict.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"], counts=[9, 1, 4, 2])
        >>> head = HierarchicalSoftmax(8, vocabulary)
        >>> head.paths.depths.tolist()  # the frequent word <eos> takes one decision
        [1, 3, 2, 3]
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: Vocabulary,
        tree: WordTree | None = None,
        bias: bool = True,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, vocabulary)
        check_init_scale(init_scale)
        self.paths = Paths((tree or HuffmanTree()).join(vocabulary))
        num_nodes = self.vocab_size - 1
        self.weight = nn.Parameter(torch.empty(num_nodes, input_size))
        self.bias = nn.Parameter(torch.empty(num_nodes)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        row_targets = placed(self, rows, row_targets)
        return path_nll(rows, self.weight, self.bias, row_targets, self.paths)

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        row_size = len(self.paths.level_sizes) * self.input_size
        targets = placed(self, states, targets)
        score = self._device_scores if on_device(states) else self._scores
        return in_chunks(score, states, targets, row_size, self.weight.dtype)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        scores = exact_linear(states, self.weight, self.bias)
        size, paths = self.vocab_size, self.paths
        # Log-probability of reaching each node: words, then inner nodes; 0 for the root, the last.
        found = scores.new_zeros(*scores.shape[:-1], 2 * size - 1)
        for nodes in paths.by_depth.split_with_sizes(paths.level_sizes):
            first, second = paths.joints[nodes].unbind(-1)
            own, score = found[..., nodes + size], scores[..., nodes]
            found[..., first] = own + F.logsigmoid(score)
            found[..., second] = own + F.logsigmoid(-score)
        return found[..., :size]

    def tie(self, embedding: nn.Embedding) -> None:
        """Raises a `ValueError`, because the weights belong to nodes instead of words."""
        raise ValueError(
            "HierarchicalSoftmax has no word weights to share with an embedding; set tie_weights "
            "to false, or use FullSoftmax, ClassSoftmax or Sampled"
        )

    def _device_scores(self, rows: Tensor, targets: Tensor) -> Tensor:
        nodes, signs = self.paths.padded_to(targets)
        scores, _ = padded_scores(rows, self.weight, self.bias, nodes)
        return (F.logsigmoid(scores * signs) * signs.abs()).sum(1)

    def _scores(self, rows: Tensor, targets: Tensor) -> Tensor:
        steps = self.paths.steps_to(targets)
        scores = F.logsigmoid(step_scores(rows, self.weight, self.bias, steps) * steps.signs)
        return scores.new_zeros(len(rows)).index_add(0, steps.rows, scores)
